import Foundation
import SparseAttention
import SparseInference

/// A checkpoint of seeded random weights, to measure an engine with: "mini".
///
/// Heads, latents and index heads have the sizes of DeepSeek-V3.2, everything else is small: four layers, the first of
/// them dense, 16 experts of which four are chosen, some 144 MB of bfloat16 read a token.
enum RandomCheckpoint {
    /// What `config.json` says.
    private static let configuration = """
        {"model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"], "vocab_size": 8192,
         "hidden_size": 1024, "intermediate_size": 2816, "moe_intermediate_size": 512, "num_hidden_layers": 4,
         "num_attention_heads": 16, "num_key_value_heads": 16, "n_routed_experts": 16, "n_shared_experts": 1,
         "num_experts_per_tok": 4, "n_group": 4, "topk_group": 2, "norm_topk_prob": true,
         "routed_scaling_factor": 2.5, "first_k_dense_replace": 1, "moe_layer_freq": 1, "q_lora_rank": 512,
         "kv_lora_rank": 512, "qk_nope_head_dim": 128, "qk_rope_head_dim": 64, "v_head_dim": 128,
         "index_n_heads": 16, "index_head_dim": 128, "index_topk": 2048, "max_position_embeddings": 163840,
         "rms_norm_eps": 1e-06, "rope_theta": 10000.0, "tie_word_embeddings": false, "hidden_act": "silu",
         "attention_bias": false, "scoring_func": "sigmoid", "topk_method": "noaux_tc", "torch_dtype": "bfloat16"}

        """

    /// The standard deviation of matrices, as models of this family are initialised.
    private static let deviation: Float = 0.02

    /// Writes `config.json` and `model.safetensors` in bfloat16.
    ///
    /// - Parameters:
    ///   - folder: must exist.
    ///   - noise: where the weights come from.
    /// - Throws: `WriterFault`.
    static func write(to folder: URL, noise: Noise) throws {
        let file = folder.appendingPathComponent("config.json")
        try Data(configuration.utf8).write(to: file)
        let shapes = try ModelConfiguration(contentsOf: file).weightShapes
        var tensors: [String: StoredTensor] = [:]
        for (index, (name, shape)) in shapes.enumerated() {
            tensors[name] = tensor(name, shape: shape, noise: noise.stream(UInt64(100 + index)))
        }
        try SafetensorsWriter.write(tensors, to: folder.appendingPathComponent("model.safetensors"))
    }

    private static func tensor(_ name: String, shape: [Int], noise: Noise) -> StoredTensor {
        let (center, deviation): (Float, Float) =
            switch true {
            case name.hasSuffix("norm.weight"): (1, 0.1)
            case name.hasSuffix(".bias"): (0, 0.1)
            default: (0, Self.deviation)
            }
        let count = shape.reduce(1, *)
        let numbers = noise.tensor([count / (shape.last ?? 1), shape.last ?? 1])
        var halves = [UInt16](repeating: 0, count: count)
        numbers.withElements { numbers in
            for index in halves.indices {
                halves[index] = BFloat16(center + deviation * numbers[index]).bitPattern.littleEndian
            }
        }
        return StoredTensor(dataType: .bfloat16, shape: shape, bytes: halves.withUnsafeBytes { Data($0) })
    }
}

package import Foundation

/// A recipe of three short stages, and a model of few thousand parameters.
package enum TinyRun {
    package static let configuration = """
        {"model_type": "deepseek_v32", "architectures": ["DeepseekV32ForCausalLM"], "vocab_size": 760,
         "hidden_size": 16, "intermediate_size": 24, "moe_intermediate_size": 8, "num_hidden_layers": 2,
         "num_attention_heads": 2, "num_key_value_heads": 2, "n_routed_experts": 4, "n_shared_experts": 1,
         "num_experts_per_tok": 2, "n_group": 1, "topk_group": 1, "norm_topk_prob": true,
         "routed_scaling_factor": 1.0, "first_k_dense_replace": 1, "q_lora_rank": 12, "kv_lora_rank": 8,
         "qk_nope_head_dim": 6, "qk_rope_head_dim": 4, "v_head_dim": 6, "index_n_heads": 2, "index_head_dim": 8,
         "index_topk": 32, "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
        """

    package static let recipe = """
        {"seed": 3, "initialDeviation": 0.1, "stages": [
         {"name": "dense", "kind": "densePretraining", "steps": 3, "sequences": 5, "length": 64, "questions": 2,
          "mixture": {"needle": 1, "copy": 1, "prose": 1}, "clip": 1, "biasSpeed": 0.01, "balanceLoss": 0.001,
          "learningRate": {"peak": 0.01, "end": 0.001, "warmUpSteps": 1, "shape": "cosine"}},
         {"name": "warm-up", "kind": "denseWarmUp", "steps": 2, "sequences": 2, "length": 70, "questions": 2,
          "mixture": {"needle": 1}, "topK": 16, "closedFormStart": true,
          "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}},
         {"name": "sparse", "kind": "sparseTraining", "steps": 3, "sequences": 2, "length": 80, "questions": 2,
          "mixture": {"hops": 1}, "topK": 16, "indexerRate": 3,
          "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}}]}
        """

    /// Writes `config.json` and `recipe.json`.
    package static func write(to folder: URL) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try Data(configuration.utf8).write(to: folder.appendingPathComponent("config.json"))
        try Data(recipe.utf8).write(to: folder.appendingPathComponent("recipe.json"))
    }
}

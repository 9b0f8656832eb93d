import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// Checkpoints that hold another model than `config.json` describes.
final class ModelRefusalTests: XCTestCase {
    private let file = "model.safetensors"
    private let numbers: [DataType] = [.float32, .bfloat16, .float16]

    private let matrices: [DataType] = [.float32, .bfloat16, .float16, .float8E4M3]

    /// One layer of each kind, the last with two experts: few tensors, of every kind.
    private func small(
        _ family: ModelConfiguration.Family = .deepseekV32,
        _ changes: [String: String] = [:]
    ) throws -> TinyCheckpoint {
        let sizes = [
            "num_hidden_layers": "2", "n_routed_experts": "2", "n_group": "1", "topk_group": "1",
            "num_experts_per_tok": "1", "vocab_size": "9",
        ]
        return try TinyCheckpoint(family, sizes.merging(changes) { $1 })
    }

    private func assertRefused(
        _ checkpoint: TinyCheckpoint,
        _ tensor: String,
        _ fault: TensorFault,
        file: String? = nil,
        line: UInt = #line
    ) {
        let error = SparseInferenceError.checkpoint(file: file ?? self.file, .tensor(tensor, fault))
        assertError(error, tensor, line: line) { try checkpoint.model() }
    }

    func testEveryTensorIsNeeded() throws {
        for family in ModelConfiguration.Family.allCases {
            let checkpoint = try small(family)
            for name in checkpoint.weights.map(\.name) {
                assertRefused(checkpoint.removing(name), name, .missing)
            }
        }
        let direct = try small(.deepseekV3, ["q_lora_rank": "null"])
        let name = "model.layers.0.self_attn.q_proj.weight"
        assertRefused(direct.removing(name), name, .missing)
    }

    func testEveryShapeIsChecked() throws {
        let checkpoint = try small()
        for (name, shape) in checkpoint.weights.map({ ($0.name, $0.shape) }) {
            let others = [Array(shape.reversed()), [shape.reduce(1, *)], [1] + shape].filter { $0 != shape }
            for other in others {
                let changed = checkpoint.changing(name) { $0.shape = other }
                assertRefused(changed, name, .shape(found: other, expected: shape))
            }
            let longer = [shape[0] + 1] + shape.dropFirst()
            let changed = checkpoint.changing(name) {
                $0.shape = longer
                $0.values = Array(repeating: 0, count: longer.reduce(1, *))
            }
            assertRefused(changed, name, .shape(found: longer, expected: shape))
        }
    }

    func testOtherTypesAreRefused() throws {
        let checkpoint = try small()
        for weight in checkpoint.weights {
            let allowed = weight.shape.count == 1 ? numbers : matrices
            let changed = checkpoint.changing(weight.name) { $0.dataType = .int64 }
            assertRefused(changed, weight.name, .dataType(found: .int64, expected: allowed))
        }
        for (name, allowed) in [("model.norm.weight", numbers), ("lm_head.weight", matrices)] {
            for dataType in DataType.allCases where !allowed.contains(dataType) {
                let changed = checkpoint.changing(name) { $0.dataType = dataType }
                assertRefused(changed, name, .dataType(found: dataType, expected: allowed))
            }
        }
    }

    func testEightBitWeightsNeedTheirScales() throws {
        let name = "model.layers.1.mlp.experts.1.down_proj.weight"
        let checkpoint = try small().changing(name) { $0.dataType = .float8E4M3 }
        assertRefused(checkpoint, name + "_scale_inv", .missing)
        var generator = SeededGenerator(seed: 1)
        var scaled = checkpoint
        scaled.weights.append(TinyWeight(name + "_scale_inv", shape: [1, 1], using: &generator))
        XCTAssertNoThrow(try scaled.model())
        let square = scaled.changing("_scale_inv") { $0.shape = [1] }
        assertRefused(square, name + "_scale_inv", .shape(found: [1], expected: [1, 1]))
        let whole = scaled.changing("_scale_inv") { $0.dataType = .int32 }
        assertRefused(whole, name + "_scale_inv", .dataType(found: .int32, expected: numbers))
    }

    func testErrorsNameTheShardOrTheIndex() throws {
        var checkpoint = try small()
        checkpoint.shards = 2
        let name = "model.embed_tokens.weight"
        assertRefused(
            checkpoint.changing(name) { $0.dataType = .int32 },
            name,
            .dataType(found: .int32, expected: matrices),
            file: "model-00001-of-00002.safetensors"
        )
        assertRefused(checkpoint.removing(name), name, .missing, file: "model.safetensors.index.json")
    }

    func testFilesThatAreNotThere() throws {
        let folder = try small().write()
        let files = FileManager.default
        try files.removeItem(at: folder.url.appendingPathComponent(file))
        assertError(.checkpoint(file: folder.url.lastPathComponent, .noWeights)) {
            try LanguageModel(contentsOf: folder.url)
        }
        try files.removeItem(at: folder.url.appendingPathComponent("config.json"))
        assertError(.checkpoint(file: "config.json", .missingFile)) {
            try LanguageModel(contentsOf: folder.url)
        }
    }

    func testABrokenTokenizerIsNotPassedOver() throws {
        let folder = try small().write()
        try folder.write("{}", as: "tokenizer.json")
        assertError(.tokenizer(file: "tokenizer.json", .missingField("model"))) {
            try LanguageModel(contentsOf: folder.url)
        }
    }
}

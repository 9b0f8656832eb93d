import Foundation
import SparseAttention
import SparseInference
import XCTest

/// Checkpoints that hold another model than `config.json` describes.
final class ModelRefusalTests: XCTestCase {
    private let file = "model.safetensors"
    private let numbers: [DataType] = [.float32, .bfloat16, .float16]

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

    /// The name of one tensor of every kind: each layer but the last two, two of the experts.
    private func kinds(_ checkpoint: TinyCheckpoint) -> [String] {
        checkpoint.weights.map(\.name).filter { name in
            !["layers.2", "layers.3"].contains { name.contains($0) }
                && !(1...6).contains { name.contains("experts.\($0).") }
        }
    }

    func testEveryTensorIsNeeded() throws {
        for family in ModelConfiguration.Family.allCases {
            let checkpoint = try TinyCheckpoint(family)
            for name in kinds(checkpoint) {
                assertRefused(checkpoint.removing(name), name, .missing)
            }
        }
        let direct = try TinyCheckpoint(.deepseekV3, ["q_lora_rank": "null"])
        let name = "model.layers.0.self_attn.q_proj.weight"
        assertRefused(direct.removing(name), name, .missing)
    }

    func testEveryShapeIsChecked() throws {
        let checkpoint = try TinyCheckpoint()
        for name in kinds(checkpoint) {
            let shape = try XCTUnwrap(checkpoint.weights.first { $0.name == name }).shape
            var others = [Array(shape.reversed()), [shape.reduce(1, *)], shape + [1], [1] + shape]
            others.removeAll { $0 == shape }
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
        let checkpoint = try TinyCheckpoint()
        for name in kinds(checkpoint) {
            let changed = checkpoint.changing(name) { $0.dataType = .int64 }
            assertRefused(changed, name, .dataType(found: .int64, expected: numbers))
        }
        let name = "model.layers.1.mlp.experts.7.up_proj.weight"
        for dataType in DataType.allCases where !numbers.contains(dataType) {
            let changed = checkpoint.changing(name) { $0.dataType = dataType }
            assertRefused(changed, name, .dataType(found: dataType, expected: numbers))
        }
    }

    func testEightBitWeightsAreRefused() throws {
        let quantization = """
            {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", \
            "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}
            """
        let checkpoint = try TinyCheckpoint(.deepseekV32, ["quantization_config": quantization])
            .changing("proj.weight") { $0.dataType = .float8E4M3 }
        let first = "model.layers.0.self_attn.q_a_proj.weight"
        assertRefused(checkpoint, first, .dataType(found: .float8E4M3, expected: numbers))
    }

    func testErrorsNameTheShardOrTheIndex() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.shards = 2
        let name = "model.embed_tokens.weight"
        assertRefused(
            checkpoint.changing(name) { $0.dataType = .int32 },
            name,
            .dataType(found: .int32, expected: numbers),
            file: "model-00001-of-00002.safetensors"
        )
        assertRefused(checkpoint.removing(name), name, .missing, file: "model.safetensors.index.json")
    }

    func testFilesThatAreNotThere() throws {
        let folder = try TinyCheckpoint().write()
        let files = FileManager.default
        try files.removeItem(at: folder.url.appendingPathComponent(file))
        assertError(.checkpoint(file: folder.url.lastPathComponent, .noWeights)) {
            try LanguageModel(contentsOf: folder.url)
        }
        try files.removeItem(at: folder.url.appendingPathComponent("config.json"))
        assertError(.checkpoint(file: "config.json", .missingFile)) { try LanguageModel(contentsOf: folder.url) }
    }

    func testABrokenTokenizerIsNotPassedOver() throws {
        let folder = try TinyCheckpoint().write()
        try folder.write("{}", as: "tokenizer.json")
        assertError(.tokenizer(file: "tokenizer.json", .missingField("model"))) {
            try LanguageModel(contentsOf: folder.url)
        }
    }
}

import SparseInference
import XCTest

/// Every way rotation, indexer or quantisation can be wrong in a `config.json`.
final class ConfigurationPartFaultTests: XCTestCase {
    private let v3 = ConfigurationText(family: .deepseekV3)
    private let v32 = ConfigurationText(family: .deepseekV32)
    private let glm = ConfigurationText(family: .glmMoeDSA)

    private func rope(_ fields: String) -> ConfigurationText {
        v32.with(["rope_scaling": "{\(fields)}"])
    }

    func testRotation() {
        let yarn = "\"type\": \"yarn\", \"original_max_position_embeddings\": 4096"
        assertFault(
            .numberOutOfRange(field: "rope_scaling.factor", found: 0, allowed: 1...1e6),
            rope("\(yarn), \"factor\": 0")
        )
        assertFault(
            .wrongType(field: "rope_scaling.factor", found: "\"forty\"", expected: .number),
            rope("\(yarn), \"factor\": \"forty\"")
        )
        assertFault(.missingField("rope_scaling.factor"), rope(yarn))
        assertFault(
            .missingField("rope_scaling.original_max_position_embeddings"),
            rope("\"type\": \"yarn\", \"factor\": 40")
        )
        assertFault(.missingField("rope_scaling.type"), rope("\"factor\": 40"))
        assertFault(
            .unsupported(
                field: "rope_scaling.type",
                found: "\"spiral\"",
                supported: ["\"default\"", "\"yarn\""]
            ),
            rope("\"type\": \"spiral\"")
        )
        assertFault(
            .numberOutOfRange(field: "rope_scaling.beta_fast", found: 1, allowed: 2...1e6),
            rope("\(yarn), \"factor\": 40, \"beta_fast\": 1, \"beta_slow\": 2")
        )
        assertFault(
            .unsupported(field: "rope_scaling.truncate", found: "false", supported: ["true"]),
            rope("\(yarn), \"factor\": 40, \"truncate\": false")
        )
        assertFault(
            .wrongType(field: "rope_scaling", found: "an array of 0", expected: .object),
            v32.with(["rope_scaling": "[]"])
        )
    }

    func testRotationSpelledTwice() {
        assertFault(
            .conflict(
                field: "rope_theta",
                found: "10000.0",
                other: "rope_parameters.rope_theta",
                otherFound: "20000.0"
            ),
            v32.with(["rope_parameters": "{\"rope_theta\": 20000}"])
        )
        assertFault(
            .conflict(
                field: "rope_scaling.rope_type",
                found: "\"default\"",
                other: "rope_scaling.type",
                otherFound: "\"yarn\""
            ),
            rope("\"type\": \"yarn\", \"rope_type\": \"default\"")
        )
    }

    func testIndexer() {
        assertFault(.missingField("q_lora_rank"), v32.with(["q_lora_rank": "null"]))
        assertFault(
            .wrongCount(field: "indexer_types", found: 1, expected: 4),
            glm.with(["indexer_types": #"["full"]"#])
        )
        assertFault(
            .noSelectionToShare(field: "indexer_types"),
            glm.with(["indexer_types": #"["shared", "full", "full", "full"]"#])
        )
        assertFault(
            .unsupported(field: "indexer_types", found: "\"half\"", supported: ["\"full\"", "\"shared\""]),
            glm.with(["indexer_types": #"["full", "half", "full", "full"]"#])
        )
        assertFault(
            .wrongType(field: "indexer_types", found: "1", expected: .string),
            glm.with(["indexer_types": #"["full", 1, "full", "full"]"#])
        )
        assertFault(
            .wrongType(field: "indexer_types", found: "\"full\"", expected: .array),
            glm.with(["indexer_types": "\"full\""])
        )
        assertFault(
            .wrongCount(field: "index_topk_pattern", found: 3, expected: 4),
            glm.with(["index_topk_pattern": "\"FFF\""])
        )
        assertFault(
            .wrongType(field: "index_topk_pattern", found: "\"FFXS\"", expected: .pattern),
            glm.with(["index_topk_pattern": "\"FFXS\""])
        )
        assertFault(
            .noSelectionToShare(field: "index_topk_pattern"),
            glm.with(["index_topk_pattern": "\"SFFF\""])
        )
        assertFault(
            .noSelectionToShare(field: "index_skip_topk_offset"),
            glm.with(["index_topk_freq": "4", "index_skip_topk_offset": "0"])
        )
        assertFault(
            .outOfRange(field: "index_topk_freq", found: 0, allowed: 1...4096),
            glm.with(["index_topk_freq": "0"])
        )
    }

    func testQuantization() {
        func fault(_ fault: ConfigurationFault, _ fields: String, line: UInt = #line) {
            assertFault(fault, v3.with(["quantization_config": "{\(fields)}"]), line: line)
        }
        let block = "\"weight_block_size\": [128, 128]"
        let field = "quantization_config."
        fault(.missingField(field + "quant_method"), block)
        fault(
            .unsupported(field: field + "quant_method", found: "\"int3\"", supported: ["\"fp8\""]),
            "\"quant_method\": \"int3\""
        )
        let fp8 = "\"quant_method\": \"fp8\""
        fault(.missingField(field + "weight_block_size"), fp8)
        for (name, value, supported) in [
            ("fmt", "e5m2", "e4m3"), ("activation_scheme", "static", "dynamic"),
            ("scale_fmt", "bf16", "ue8m0"),
        ] {
            fault(
                .unsupported(field: field + name, found: "\"\(value)\"", supported: ["\"\(supported)\""]),
                "\(fp8), \(block), \"\(name)\": \"\(value)\""
            )
        }
        let size = field + "weight_block_size"
        fault(
            .outOfRange(field: size, found: 0, allowed: 1...1 << 20),
            "\(fp8), \"weight_block_size\": [128, 0]"
        )
        fault(.wrongCount(field: size, found: 1, expected: 2), "\(fp8), \"weight_block_size\": [128]")
        fault(
            .unsupported(field: size, found: "[64, 128]", supported: ["[128, 128]"]),
            "\(fp8), \"weight_block_size\": [64, 128]"
        )
    }
}

import Foundation
import SparseInference
import XCTest

/// Every way a `config.json` can be wrong.
final class ConfigurationFaultTests: XCTestCase {
    private let v32 = ConfigurationText(family: .deepseekV32)
    private let glm = ConfigurationText(family: .glmMoeDSA)

    func testFilesNameTheFault() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("[\(v32)]", as: "config.json")
        func assertError(_ error: SparseInferenceError, _ text: String) throws {
            try folder.write(text, as: "config.json")
            SparseInferenceTests.assertError(error, text) { try ModelConfiguration(contentsOf: url) }
        }
        try assertError(.configuration(file: "config.json", .notAnObject(found: "an array of 1")), "[\(v32)]")
        try assertError(.malformedJSON(file: "config.json", .unexpectedEnd), "")
        try assertError(.malformedJSON(file: "config.json", .unexpectedEnd), String("\(v32)".prefix(200)))
        try assertError(
            .configuration(file: "config.json", .missingField("hidden_size")),
            v32.with([:], without: ["hidden_size"]).description
        )
        let nan = v32.with(["rms_norm_eps": "NaN"]).description
        XCTAssertThrowsError(try JSONValue(parsing: Array(nan.utf8)))
        try FileManager.default.removeItem(at: url)
        SparseInferenceTests.assertError(.checkpoint(file: "config.json", .missingFile)) {
            try ModelConfiguration(contentsOf: url)
        }
    }

    func testRequiredFields() {
        let names = [
            "model_type", "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads",
            "q_lora_rank", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim",
            "intermediate_size", "moe_intermediate_size", "first_k_dense_replace", "n_routed_experts",
            "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group", "norm_topk_prob",
            "routed_scaling_factor", "rms_norm_eps", "max_position_embeddings", "index_n_heads",
            "index_head_dim", "index_topk",
        ]
        for name in names {
            assertFault(.missingField(name), v32.with([:], without: [name]))
            assertFault(.missingField(name), glm.with([:], without: [name]))
            // For experts that every token uses, `null` says none.
            if name != "n_shared_experts" { assertFault(.missingField(name), v32.with([name: "null"])) }
        }
    }

    func testWholeNumbers() {
        let names = [
            "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "q_lora_rank",
            "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim", "v_head_dim", "intermediate_size",
            "moe_intermediate_size", "first_k_dense_replace", "moe_layer_freq", "n_routed_experts",
            "n_shared_experts", "num_experts_per_tok", "n_group", "topk_group", "max_position_embeddings",
            "num_nextn_predict_layers", "num_key_value_heads", "bos_token_id", "index_n_heads",
            "index_head_dim", "index_topk",
        ]
        for name in names {
            for value in ["\"16\"", "8.5", "8.0", "1e1", "true", "1\(String(repeating: "0", count: 30))"] {
                let fault = ConfigurationFault.wrongType(field: name, found: value, expected: .wholeNumber)
                assertFault(fault, v32.with([name: value]))
            }
            for value in [-1, 1_000_000_000_000_000_000] {
                XCTAssertThrowsError(try v32.with([name: "\(value)"]).configuration()) { error in
                    guard case .outOfRange(name, value, _) = error as? ConfigurationFault else {
                        XCTFail("\(name) = \(value): \(error)")
                        return
                    }
                }
            }
        }
        assertFault(
            .outOfRange(field: "num_hidden_layers", found: -1, allowed: 1...4096),
            v32.with(["num_hidden_layers": "-1"])
        )
        assertFault(
            .outOfRange(field: "num_hidden_layers", found: 4_000_000_000, allowed: 1...4096),
            v32.with(["num_hidden_layers": "4000000000"])
        )
        assertFault(
            .outOfRange(field: "num_attention_heads", found: 0, allowed: 1...4096),
            v32.with(["num_attention_heads": "0"])
        )
        assertFault(
            .outOfRange(field: "index_topk", found: 0, allowed: 1...1 << 30),
            v32.with(["index_topk": "0"])
        )
    }

    func testNumbers() {
        for name in ["rms_norm_eps", "routed_scaling_factor", "rope_theta"] {
            assertFault(
                .wrongType(field: name, found: "\"1\"", expected: .number),
                v32.with([name: "\"1\""])
            )
            assertFault(.wrongType(field: name, found: "1e999", expected: .number), v32.with([name: "1e999"]))
        }
        assertFault(
            .numberOutOfRange(field: "rms_norm_eps", found: 0, allowed: 1e-12...1),
            v32.with(["rms_norm_eps": "0"])
        )
        assertFault(
            .numberOutOfRange(field: "rope_theta", found: -10000, allowed: 2...1e15),
            v32.with(["rope_theta": "-10000"])
        )
        assertFault(
            .numberOutOfRange(field: "routed_scaling_factor", found: -1, allowed: 1e-6...1e6),
            v32.with(["routed_scaling_factor": "-1"])
        )
        assertFault(
            .wrongType(field: "norm_topk_prob", found: "1", expected: .bool),
            v32.with(["norm_topk_prob": "1"])
        )
    }

    func testHeads() {
        assertFault(
            .notMultiple(field: "qk_rope_head_dim", found: 3, of: 2),
            v32.with(["qk_rope_head_dim": "3"])
        )
        assertFault(
            .outOfRange(field: "index_head_dim", found: 2, allowed: 4...1 << 20),
            v32.with(["index_head_dim": "2"])
        )
        assertFault(
            .conflict(
                field: "num_key_value_heads",
                found: "1",
                other: "num_attention_heads",
                otherFound: "2"
            ),
            v32.with(["num_key_value_heads": "1"])
        )
    }

    func testExperts() {
        assertFault(.notMultiple(field: "n_routed_experts", found: 8, of: 3), v32.with(["n_group": "3"]))
        assertFault(.outOfRange(field: "n_group", found: 9, allowed: 1...8), v32.with(["n_group": "9"]))
        assertFault(.outOfRange(field: "topk_group", found: 5, allowed: 1...4), v32.with(["topk_group": "5"]))
        assertFault(
            .outOfRange(field: "num_experts_per_tok", found: 5, allowed: 1...4),
            v32.with(["num_experts_per_tok": "5"])
        )
        // A group of one expert has no two best.
        assertFault(.outOfRange(field: "topk_group", found: 2, allowed: 8...8), v32.with(["n_group": "8"]))
        assertFault(
            .wrongCount(field: "mlp_layer_types", found: 1, expected: 4),
            v32.with(["mlp_layer_types": #"["dense"]"#])
        )
        assertFault(
            .conflict(
                field: "mlp_layer_types[1]",
                found: "\"dense\"",
                other: "first_k_dense_replace",
                otherFound: "1"
            ),
            v32.with(["mlp_layer_types": #"["dense", "dense", "sparse", "sparse"]"#])
        )
    }

    func testTokens() {
        let allowed = 0...63
        assertFault(
            .outOfRange(field: "bos_token_id", found: 64, allowed: allowed),
            v32.with(["bos_token_id": "64"])
        )
        assertFault(
            .outOfRange(field: "eos_token_id", found: 64, allowed: allowed),
            v32.with(["eos_token_id": "[1, 64]"])
        )
        for (value, found) in [("\"1\"", "\"1\""), ("[1, 2.5]", "2.5"), ("[[1]]", "an array of 1")] {
            assertFault(
                .wrongType(field: "eos_token_id", found: found, expected: .tokens),
                v32.with(["eos_token_id": value])
            )
        }
    }

    func testUnsupportedModels() {
        let cases: [(name: String, value: String, supported: String)] = [
            ("hidden_act", "\"gelu\"", "\"silu\""), ("attention_bias", "true", "false"),
            ("mlp_bias", "true", "false"), ("rope_interleave", "false", "true"),
            ("scoring_func", "\"softmax\"", "\"sigmoid\""), ("topk_method", "\"greedy\"", "\"noaux_tc\""),
        ]
        for (name, value, supported) in cases {
            assertFault(
                .unsupported(field: name, found: value, supported: [supported]),
                v32.with([name: value])
            )
        }
        assertFault(
            .unsupported(
                field: "model_type",
                found: "\"llama9\"",
                supported: ["\"deepseek_v3\"", "\"deepseek_v32\"", "\"glm_moe_dsa\""]
            ),
            v32.with(["model_type": "\"llama9\""])
        )
    }
}

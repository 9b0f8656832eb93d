import Foundation
import SparseAttention
import SparseInference
import XCTest

/// What is read from a valid `config.json`.
final class ModelConfigurationTests: XCTestCase {
    private let v3 = ConfigurationText(family: .deepseekV3)
    private let v32 = ConfigurationText(family: .deepseekV32)
    private let glm = ConfigurationText(family: .glmMoeDSA)

    func testReadsEveryField() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(v32.description, as: "config.json")
        let model = try ModelConfiguration(contentsOf: url)
        XCTAssertEqual(model.family, .deepseekV32)
        XCTAssertEqual(
            [model.vocabularySize, model.hiddenDim, model.layers, model.heads, model.queryLatentDim],
            [64, 16, 4, 2, 10]
        )
        XCTAssertEqual([model.latentDim, model.nopeDim, model.ropeDim, model.valueDim], [8, 6, 4, 5])
        XCTAssertEqual([model.feedForwardDim, model.expertFeedForwardDim], [24, 12])
        XCTAssertEqual([model.denseLayers, model.moeLayerFrequency], [1, 1])
        XCTAssertEqual([model.routedExperts, model.sharedExperts, model.expertsPerToken], [8, 1, 3])
        XCTAssertEqual([model.expertGroups, model.keptGroups, model.maxPositions], [4, 2, 4096])
        XCTAssertEqual([model.routedScale, model.normEpsilon], [2.5, 1e-6])
        XCTAssertTrue(model.normalizesExpertWeights)
        XCTAssertFalse(model.tiesEmbeddings)
        XCTAssertEqual(model.predictionLayers, 0)
        XCTAssertEqual(model.bosToken, 0)
        XCTAssertEqual(model.eosTokens, [1])
        XCTAssertEqual(model.rope.theta, 10000)
        XCTAssertNil(model.rope.yarn)
        XCTAssertEqual(model.indexer?.heads, 3)
        XCTAssertEqual(model.indexer?.headDim, 8)
        XCTAssertEqual(model.indexer?.topK, 7)
        XCTAssertEqual(model.indexer?.ropeLayout, .halfSplit)
        XCTAssertEqual(model.indexer?.sharing, [.full, .full, .full, .full])
        XCTAssertNil(model.quantization)
        XCTAssertEqual(ModelConfiguration.latentNormEpsilon, 1e-6)
    }

    func testFamiliesDifferInTheirIndexer() throws {
        XCTAssertNil(try v3.configuration().indexer)
        XCTAssertNil(try v3.with(["index_topk": "-5"]).configuration().indexer)
        XCTAssertEqual(try glm.configuration().indexer?.ropeLayout, .interleaved)
        let split = glm.with(["indexer_rope_interleave": "false"])
        XCTAssertEqual(try split.configuration().indexer?.ropeLayout, .halfSplit)
    }

    func testOptionalFieldsHaveDefaults() throws {
        let removed: Set<String> = [
            "moe_layer_freq", "num_key_value_heads", "tie_word_embeddings", "num_nextn_predict_layers",
            "bos_token_id", "eos_token_id", "hidden_act", "attention_bias", "scoring_func", "topk_method",
            "rope_theta", "architectures",
        ]
        let model = try v32.with([:], without: removed).configuration()
        XCTAssertEqual(model.moeLayerFrequency, 1)
        XCTAssertFalse(model.tiesEmbeddings)
        XCTAssertEqual(model.predictionLayers, 0)
        XCTAssertNil(model.bosToken)
        XCTAssertEqual(model.eosTokens, [])
        XCTAssertEqual(model.rope, try v32.configuration().rope)
    }

    func testUnknownFieldsAreIgnored() throws {
        let text = v32.with(["use_cache": "true", "auto_map": "{\"a\": [1]}", "indexer_types": "7"])
        XCTAssertEqual(try text.configuration(), try v32.configuration())
    }

    func testNullQueryLatentAndSharedExperts() throws {
        let model = try v3.with(["q_lora_rank": "null", "n_shared_experts": "null"]).configuration()
        XCTAssertNil(model.queryLatentDim)
        XCTAssertEqual(model.sharedExperts, 0)
    }

    func testTokensThatEndAText() throws {
        XCTAssertEqual(try v32.with(["eos_token_id": "[3, 1]"]).configuration().eosTokens, [3, 1])
        XCTAssertEqual(try v32.with(["eos_token_id": "null"]).configuration().eosTokens, [])
        XCTAssertEqual(try v32.with(["eos_token_id": "[]"]).configuration().eosTokens, [])
    }

    func testDenseLayers() throws {
        let text = v3.with(["first_k_dense_replace": "2", "moe_layer_freq": "3", "num_hidden_layers": "8"])
        let model = try text.configuration()
        XCTAssertEqual((0..<8).filter { !model.isDense(layer: $0) }, [3, 6])
        let plain = try v32.configuration()
        XCTAssertEqual((0..<5).map(plain.isDense), [true, false, false, false, false])
        XCTAssertTrue(try v32.with(["first_k_dense_replace": "9"]).configuration().isDense(layer: 3))
        XCTAssertNoThrow(
            try v32.with(["mlp_layer_types": #"["dense", "sparse", "sparse", "sparse"]"#]).configuration()
        )
    }

    func testPredictionLayersUnderBothNames() throws {
        XCTAssertEqual(try v32.with(["num_nextn_predict_layers": "1"]).configuration().predictionLayers, 1)
        let text = v32.with(["num_mtp_layers": "2"], without: ["num_nextn_predict_layers"])
        XCTAssertEqual(try text.configuration().predictionLayers, 2)
    }

    func testYaRNInBothSpellings() throws {
        let settings =
            "\"factor\": 40, \"original_max_position_embeddings\": 4096, \"beta_fast\": 16, \"beta_slow\": 2,"
            + "\"mscale\": 1.0, \"mscale_all_dim\": 0.5, \"attention_factor\": 1.25"
        let yarn = YaRN(
            factor: 40,
            originalPositions: 4096,
            betaFast: 16,
            betaSlow: 2,
            mscale: 1,
            mscaleAllDim: 0.5,
            attentionFactor: 1.25
        )
        for key in ["type", "rope_type"] {
            let old = try v32.with(["rope_scaling": "{\"\(key)\": \"yarn\", \(settings)}"]).configuration()
            XCTAssertEqual(old.rope.yarn, yarn)
            XCTAssertEqual(old.rope.theta, 10000)
            let parameters = "{\"rope_theta\": 5e5, \"\(key)\": \"yarn\", \(settings)}"
            let new = try v32.with(["rope_parameters": parameters], without: ["rope_theta"]).configuration()
            XCTAssertEqual(new.rope.yarn, yarn)
            XCTAssertEqual(new.rope.theta, 500_000)
        }
        let short = "{\"type\": \"yarn\", \"factor\": 1, \"original_max_position_embeddings\": 8}"
        let plain = try v32.with(["rope_scaling": short]).configuration()
        XCTAssertEqual(
            plain.rope.yarn,
            YaRN(
                factor: 1,
                originalPositions: 8,
                betaFast: 32,
                betaSlow: 1,
                mscale: nil,
                mscaleAllDim: nil,
                attentionFactor: nil
            )
        )
    }

    func testPlainRotationInBothSpellings() throws {
        for (name, value) in [
            ("rope_scaling", "null"),
            ("rope_parameters", "{\"rope_theta\": 10000.0, \"rope_type\": \"default\"}"),
            ("rope_parameters", "{}"), ("rope_scaling", "{\"type\": \"default\"}"),
        ] {
            XCTAssertEqual(
                try v32.with([name: value]).configuration().rope,
                try v32.configuration().rope,
                value
            )
        }
    }

    func testLayersShareSelections() throws {
        let cases: [(fields: [String: String], expected: String)] = [
            ([:], "FFFFFFFF"),
            (["index_topk_freq": "2"], "FFSFSFSF"),
            (["index_topk_freq": "4"], "FFSSSFSS"),
            (["index_topk_freq": "4", "index_skip_topk_offset": "1"], "FSSSFSSS"),
            (["index_topk_freq": "3", "index_skip_topk_offset": "4"], "FFFFSSFS"),
            (["index_topk_pattern": "\"FSSFSFFS\"", "index_topk_freq": "2"], "FSSFSFFS"),
            (["indexer_types": "null", "index_topk_freq": "2"], "FFSFSFSF"),
            (
                [
                    "indexer_types": #"["full","shared","full","shared","full","shared","full","shared"]"#,
                    "index_topk_freq": "1", "index_topk_pattern": "\"FFFFFFFF\"",
                ], "FSFSFSFS"
            ),
        ]
        for (fields, expected) in cases {
            let model = try glm.with(fields.merging(["num_hidden_layers": "8"]) { $1 }).configuration()
            let letters = model.indexer?.sharing.map { $0 == .full ? "F" : "S" }.joined()
            XCTAssertEqual(letters, expected, "\(fields)")
            XCTAssertEqual(model.indexer?.sharing(layer: 8), .full)
        }
    }

    func testQuantization() throws {
        let required = "\"quant_method\": \"fp8\", \"weight_block_size\": [128, 128]"
        let plain = try v3.with(["quantization_config": "{\(required)}"]).configuration().quantization
        XCTAssertEqual(plain?.blockRows, 128)
        XCTAssertEqual(plain?.blockColumns, 128)
        XCTAssertEqual(plain?.scaleFormat, .float32)
        let all =
            "\(required), \"fmt\": \"e4m3\", \"activation_scheme\": \"dynamic\", \"scale_fmt\": \"ue8m0\""
        let power = try v32.with(["quantization_config": "{\(all)}"]).configuration().quantization
        XCTAssertEqual(power?.scaleFormat, .powerOfTwo)
        XCTAssertNil(try v3.with(["quantization_config": "null"]).configuration().quantization)
    }
}

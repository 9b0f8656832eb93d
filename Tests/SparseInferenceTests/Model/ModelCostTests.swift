import SparseAttention
import SparseInference
import XCTest

/// Counts of parameters, bytes and operations, against known models and against the tensors of tiny ones.
final class ModelCostTests: XCTestCase {
    /// The sizes of DeepSeek-V3.2-Exp.
    private func deepSeekV32() throws -> ModelConfiguration {
        try ConfigurationText(family: .deepseekV32).with([
            "vocab_size": "129280", "hidden_size": "7168", "num_hidden_layers": "61",
            "num_attention_heads": "128", "num_key_value_heads": "128", "q_lora_rank": "1536",
            "kv_lora_rank": "512", "qk_nope_head_dim": "128", "qk_rope_head_dim": "64", "v_head_dim": "128",
            "intermediate_size": "18432", "moe_intermediate_size": "2048", "first_k_dense_replace": "3",
            "n_routed_experts": "256", "num_experts_per_tok": "8", "n_group": "8", "topk_group": "4",
            "max_position_embeddings": "163840", "index_n_heads": "64", "index_head_dim": "128",
            "index_topk": "2048",
        ]).configuration()
    }

    /// What the projections of keys and values cost each token, in all layers of DeepSeek-V3.2-Exp.
    private let projections = 61.0 * 2 * 128 * 512 * (128 + 128)

    func testActiveParametersOfDeepSeek() throws {
        let cost = ModelCost(try deepSeekV32())
        // The report says 37 billion, without the indexer's 0.85.
        XCTAssertTrue(
            (37_000_000_000...38_000_000_000).contains(cost.activeParameters),
            "\(cost.activeParameters)"
        )
        let attention = 1536 * (7168 + 128 * 192) + 576 * 7168 + 128 * 256 * 512 + 7168 * 128 * 128
        let indexer = 64 * 128 * 1536 + (128 + 64) * 7168
        let dense = 3 * 3 * 7168 * 18432
        let experts = 58 * (9 * 3 * 7168 * 2048 + 256 * 7168)
        let expected = 61 * (attention + indexer) + dense + experts + 129_280 * 7168
        XCTAssertEqual(cost.activeParameters, expected)
    }

    func testCacheBytesOfDeepSeek() throws {
        let cost = ModelCost(try deepSeekV32())
        XCTAssertEqual(cost.cacheBytesPerToken(.bfloat16), 61 * (576 + 128) * 2)
        XCTAssertEqual(cost.cacheBytesPerToken(.float32), 61 * (576 + 128) * 4)
    }

    func testIndexScoresOfDeepSeek() throws {
        let cost = ModelCost(try deepSeekV32())
        let operations = try cost.operations(visible: 131_072, mode: .sparse)
        XCTAssertEqual(operations.indexer / 61, 2 * 64 * 128 * 131_072)
        XCTAssertEqual(operations.indexer / 61, 2.15e9, accuracy: 0.01e9)
        XCTAssertEqual(operations.linear, 2 * Double(cost.activeParameters) - projections)
        XCTAssertEqual(operations.total, operations.linear + operations.indexer + operations.attention)
        XCTAssertEqual(try cost.operations(visible: 131_072, mode: .dense).indexer, 0)
    }

    func testAttentionOfDeepSeek() throws {
        let cost = ModelCost(try deepSeekV32())
        for visible in [1, 100, 2048, 2049, 131_072] {
            let dense = try cost.operations(visible: visible, mode: .dense)
            let sparse = try cost.operations(visible: visible, mode: .sparse)
            let seen = Double(min(visible, 2048))
            let perToken = 61.0 * 2 * 128 * (576 + 512)
            if visible > 1 {
                XCTAssertEqual(dense.attention, perToken * Double(visible) + projections, "\(visible)")
                XCTAssertEqual(sparse.attention, perToken * seen + projections, "\(visible)")
            }
            XCTAssertEqual(dense.linear, sparse.linear)
            // Nothing is scored while everything is selected.
            XCTAssertEqual(sparse.indexer > 0, visible > 2048, "\(visible)")
        }
    }

    func testIndexScoresOvertakeTheSparseCore() throws {
        let cost = ModelCost(try deepSeekV32())
        func difference(_ visible: Int) throws -> Double {
            let operations = try cost.operations(visible: visible, mode: .sparse)
            return operations.indexer - (operations.attention - projections)
        }
        XCTAssertLessThan(try difference(34_815), 0)
        XCTAssertEqual(try difference(34_816), 0)
        XCTAssertGreaterThan(try difference(34_817), 0)
    }

    func testCountsAreThoseOfTheTensors() throws {
        let variants: [(ModelConfiguration.Family, [String: String])] = [
            (.deepseekV32, [:]), (.deepseekV3, [:]), (.deepseekV3, ["q_lora_rank": "null"]),
            (.glmMoeDSA, ["index_topk_pattern": "\"FSFS\""]), (.glmMoeDSA, [:]),
            (.deepseekV32, ["n_shared_experts": "2", "moe_layer_freq": "2"]),
            (.deepseekV32, ["first_k_dense_replace": "4", "n_shared_experts": "0"]),
        ]
        for (family, changes) in variants {
            let model = try TinyCheckpoint(family, changes).model()
            let cost = ModelCost(model.configuration)
            // Matrices, but for the embedding and the experts that are not chosen: the last five of eight.
            let used = model.configuration.weightShapes.filter { name, shape in
                shape.count == 2 && name != "model.embed_tokens.weight"
                    && !(3...7).contains { name.contains(".experts.\($0).") }
            }
            let expected = used.reduce(0) { $0 + $1.shape.reduce(1, *) }
            XCTAssertEqual(cost.activeParameters, expected, "\(family) \(changes)")
            for format in CacheFormat.allCases {
                let session = try Session(model, capacity: 1, cacheFormat: format)
                XCTAssertEqual(cost.cacheBytesPerToken(format), session.bytesPerToken, "\(family) \(changes)")
            }
        }
    }

    func testDenseModelsHaveNoIndexer() throws {
        let cost = ModelCost(try TinyCheckpoint(.deepseekV3).text.configuration())
        let (sparse, dense) = (
            try cost.operations(visible: 1000, mode: .sparse),
            try cost.operations(visible: 1000, mode: .dense)
        )
        XCTAssertEqual(sparse, dense)
        XCTAssertEqual(sparse.indexer, 0)
    }

    func testOnlyFullLayersScore() throws {
        func indexer(_ pattern: String) throws -> Double {
            let checkpoint = try TinyCheckpoint(.glmMoeDSA, ["index_topk_pattern": "\"\(pattern)\""])
            return try ModelCost(checkpoint.text.configuration()).operations(visible: 50, mode: .sparse)
                .indexer
        }
        XCTAssertEqual(try indexer("FFFF"), 4 * 2 * 3 * 8 * 50)
        XCTAssertEqual(try indexer("FSSF"), 2 * 2 * 3 * 8 * 50)
    }
}

import Foundation
import SparseInference
import XCTest

/// The cost model in the setting of the V3.2-Exp report's Figure 3.
final class TokenCostTests: XCTestCase {
    private func configuration() throws -> ModelConfiguration {
        let json = """
            {"model_type": "deepseek_v32", "vocab_size": 129280, "hidden_size": 7168, "intermediate_size": 18432,
             "moe_intermediate_size": 2048, "num_hidden_layers": 61, "num_attention_heads": 128,
             "num_key_value_heads": 128, "n_shared_experts": 1, "n_routed_experts": 256, "routed_scaling_factor": 2.5,
             "kv_lora_rank": 512, "q_lora_rank": 1536, "qk_rope_head_dim": 64, "v_head_dim": 128,
             "qk_nope_head_dim": 128, "n_group": 8, "topk_group": 4, "num_experts_per_tok": 8,
             "first_k_dense_replace": 3, "norm_topk_prob": true, "max_position_embeddings": 163840,
             "rms_norm_eps": 1e-6, "rope_theta": 10000, "index_n_heads": 64, "index_head_dim": 128,
             "index_topk": 2048}
            """
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(json.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try ModelConfiguration(contentsOf: file)
    }

    func testTheReportsFigureComesOut() throws {
        let cost = try TokenCost(configuration(), on: .h800)
        // USD for a million tokens at 128 K, read from the figure.
        for (phase, isSparse, dollars) in [
            (TokenCost.Phase.prefill, false, 0.665), (.prefill, true, 0.187), (.decode, false, 2.15),
            (.decode, true, 0.25),
        ] {
            let row = try cost.row(at: 131_072, phase, isSparse: isSparse)
            XCTAssertEqual(row.dollarsPerMillion / dollars, 1, accuracy: 0.15, "\(phase) \(isSparse)")
            XCTAssertEqual(row.dollarsPerMillion, row.seconds * 2 / 3600 * 1e6, accuracy: 1e-9)
        }
        XCTAssertEqual(Double(try XCTUnwrap(cost.sparseOvertakes(.prefill))) / 10_000, 1, accuracy: 0.15)
        XCTAssertEqual(Double(try XCTUnwrap(cost.sparseOvertakes(.decode))) / 5_000, 1, accuracy: 0.15)
        // 16,384 · L against 278,528 · 2,048 operations.
        XCTAssertEqual(cost.indexerOvertakes, 34_817)
    }

    func testChangesOfTheIndexerCostWhatTheySay() throws {
        let configuration = try configuration()
        func seconds(_ change: TokenCost.Change) throws -> (indexer: Double, attention: Double) {
            let cost = try TokenCost(configuration, on: .h800, with: change)
            let row = try cost.row(at: 131_072, .prefill, isSparse: true)
            return (row.indexerSeconds, row.attentionSeconds)
        }
        let plain = try seconds(.init())
        XCTAssertEqual(try seconds(.init(topK: 1024)).attention, plain.attention / 2, accuracy: 1e-12)
        XCTAssertEqual(try seconds(.init(heads: 32)).indexer / plain.indexer, 0.5, accuracy: 0.02)
        XCTAssertEqual(
            try seconds(.init(layersPerSelection: 61)).indexer,
            plain.indexer / 61,
            accuracy: 1e-12
        )
        XCTAssertEqual(try seconds(.init(isBFloat16: true)).indexer / plain.indexer, 2, accuracy: 0.1)
    }

    func testOneSequenceOnASlowMemoryWaitsForItsWeights() throws {
        let configuration = try configuration()
        let rates = DeviceRates(name: "desk", peak: 450e9, memory: 30e9, dollarsPerHour: 0.1)
        let row = try TokenCost(configuration, on: rates).row(at: 1, .decode, isSparse: false)
        let weights = Double(ModelCost(configuration).activeParameters) * 4 / 30e9
        XCTAssertEqual(row.linearSeconds, weights, accuracy: 1e-9)
        let many = DeviceRates(name: "desk", peak: 450e9, memory: 30e9, dollarsPerHour: 0.1, batch: 64)
        XCTAssertLessThan(
            try TokenCost(configuration, on: many).row(at: 1, .decode, isSparse: false).linearSeconds,
            weights / 10
        )
    }
}

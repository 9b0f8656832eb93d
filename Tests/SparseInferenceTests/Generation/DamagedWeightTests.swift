import SparseAttention
import SparseInference
import XCTest

/// Weights that hold NaN or infinity: a typed error, or finite logits where they are not used.
final class DamagedWeightTests: XCTestCase {
    private func options(_ maxTokens: Int) -> GenerationOptions {
        GenerationOptions(maxTokens: maxTokens, stopsAtEnd: false)
    }

    func testLogitsAfterThePromptAreChecked() async throws {
        for damage in [Float.nan, .infinity, -.infinity] {
            let model = try TinyCheckpoint().changing("lm_head.weight") { $0.values[5 * 16] = damage }.model()
            let generation = try model.generate(tokens: [1, 2, 3], options: options(4))
            try await assertEnds(generation, with: .request(.nonFiniteLogits(position: 2)))
        }
    }

    func testLogitsAfterEveryTokenAreChecked() async throws {
        // Only the embedding of the third token is damaged.
        let model = try TinyCheckpoint.reciting([256, 65, 66, 67])
            .changing("embed_tokens.weight") { $0.values[66 * 32 + 7] = .nan }
            .model()
        let generation = try model.generate(tokens: [256], options: options(9))
        try await assertEnds(generation, with: .request(.nonFiniteLogits(position: 2)), after: [65, 66])
    }

    /// A NaN that a cache cannot store is an error, and the sequence is as it was.
    func testCachesOfCodesRefuseNaN() async throws {
        for name in ["layers.2.self_attn.kv_a_layernorm.weight", "layers.2.self_attn.indexer.k_norm.bias"] {
            let model = try TinyCheckpoint().changing(name) { $0.values[3] = .nan }.model()
            let session = try Session(model, capacity: 20, cacheFormat: .float8)
            for _ in 0..<2 {
                XCTAssertThrowsError(try session.extend(by: TinyCheckpoint.tokens(9)), name) { error in
                    guard case SparseAttentionError.nonFinite = error else { return XCTFail("\(error)") }
                }
                XCTAssertEqual(session.count, 0, name)
            }
        }
    }

    /// Every tensor in turn is damaged in one place or throughout; nothing may trap, not even a selection
    /// from scores without order.
    func testNoDamageTraps() async throws {
        let sizes = ["num_hidden_layers": "2", "n_routed_experts": "4", "n_group": "2", "topk_group": "1"]
        let checkpoint = try TinyCheckpoint(.deepseekV32, sizes.merging(["num_experts_per_tok": "2"]) { $1 })
        var refusals = 0
        for name in checkpoint.weights.map(\.name) {
            for (damage, isEverywhere) in [
                (Float.nan, false), (.infinity, false), (.nan, true), (.infinity, true),
            ] {
                let damaged = checkpoint.changing(name) { weight in
                    weight.values = weight.values.enumerated().map { isEverywhere || $0 == 0 ? damage : $1 }
                }
                do {
                    let generation = try damaged.model().generate(
                        tokens: TinyCheckpoint.tokens(12),
                        options: options(2)
                    )
                    let tokens = try await generation.tokens()
                    XCTAssertEqual(tokens.count, 2, name)
                } catch SparseInferenceError.request(.nonFiniteLogits(let position)) {
                    refusals += 1
                    XCTAssertTrue((11...12).contains(position), name)
                }
            }
        }
        XCTAssertGreaterThan(refusals, checkpoint.weights.count)
    }
}

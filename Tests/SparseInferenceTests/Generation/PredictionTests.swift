import SparseAttention
import TestSupport
import XCTest

@testable import SparseInference

/// Guessing with a multi-token-prediction layer: the text stays what it is, and the layer sees what it should.
final class PredictionTests: XCTestCase {
    /// A random model with a random prediction layer.
    private func checkpoint(_ family: ModelConfiguration.Family = .deepseekV32) throws -> TinyCheckpoint {
        var checkpoint = try TinyCheckpoint(family, ["num_nextn_predict_layers": "1"])
        var generator = SeededGenerator(seed: 5)
        let own: [(name: String, shape: [Int])] = [
            ("embed_tokens", [64, 16]), ("enorm", [16]), ("hnorm", [16]), ("eh_proj", [16, 32]),
            ("shared_head.norm", [16]), ("shared_head.head", [64, 16]),
        ]
        let block = checkpoint.weights.filter { $0.name.contains("layers.3.") }
        for var weight in block {
            weight.name = weight.name.replacing("layers.3.", with: "layers.4.")
            checkpoint.weights.append(weight)
        }
        for part in own {
            let name = "model.layers.4.\(part.name).weight"
            checkpoint.weights.append(TinyWeight(name, shape: part.shape, using: &generator))
        }
        return checkpoint
    }

    private func generate(
        _ model: LanguageModel,
        _ prompt: [Int],
        drafts: Int,
        _ attention: AttentionMode = .sparse,
        chunk: Int = 8
    ) async throws -> [GeneratedPiece] {
        try await model.generate(
            tokens: prompt,
            options: GenerationOptions(
                maxTokens: 24,
                attention: attention,
                chunk: chunk,
                stopsAtEnd: false,
                draftTokens: drafts
            )
        ).pieces()
    }

    func testTheTextStaysWhatItIs() async throws {
        for precision in [LanguageModel.Precision.float32, .bfloat16, .deployed(activations: .float32)] {
            let model = try checkpoint().model(precision)
            XCTAssertNotNil(try model.predictionLayer())
            for attention in AttentionMode.allCases {
                for length in [1, 2, 8, 19] {
                    let prompt = TinyCheckpoint.tokens(length)
                    let plain = try await generate(model, prompt, drafts: 0, attention).map(\.token)
                    for drafts in [1, 3] {
                        let pieces = try await generate(model, prompt, drafts: drafts, attention)
                        let context = "\(precision), \(attention), \(length) tokens, \(drafts) guesses"
                        XCTAssertEqual(pieces.map(\.token), plain, context)
                        let statistics = try XCTUnwrap(pieces.last?.statistics)
                        XCTAssertGreaterThan(statistics.draftedTokens, 0, context)
                        XCTAssertLessThanOrEqual(statistics.acceptedTokens, statistics.draftedTokens, context)
                    }
                }
            }
        }
    }

    /// However prompts are cut and guesses judged, the layer's first guess is the one a pass over the whole text gives.
    func testGuessesAreThoseOfTheWholeText() throws {
        let model = try checkpoint().model()
        let layer = try XCTUnwrap(try model.predictionLayer())
        let tokens = TinyCheckpoint.tokens(30)
        for chunks in [[29], [1, 28], [8, 8, 8, 5], [20, 1, 1, 1, 3, 3]] {
            let session = try Session(model, capacity: 40)
            var draft = try PredictionDraft(layer, for: session, attention: .sparse)
            var (read, hidden) = (0, [Tensor]())
            for chunk in chunks {
                let part = tokens[read..<read + chunk]
                let step = try session.step(Array(part), attention: .sparse)
                try draft.read(part, hidden: step.hidden)
                hidden.append(step.hidden)
                read += chunk
                let guess = try draft.guess(behind: tokens[read], limit: 2)
                XCTAssertEqual(guess.count, 2)
                let cache = try LayerCache(
                    configuration: model.configuration,
                    layer: 4,
                    capacity: 40,
                    format: .float32,
                    indexScores: .float32
                )
                let rows = try layer(
                    Array(tokens[1...read]),
                    hidden: Tensor(joining: hidden),
                    cache: cache,
                    attention: .sparse
                )
                let logits = try layer.logits(rows.slice(read - 1..<read)).elements
                var sampler = Sampler(.greedy)
                XCTAssertEqual(guess[0], sampler.choose(logits), "\(chunks), \(read)")
            }
        }
    }

    /// A layer that is told the answer: a model that always says the same token is guessed right every time.
    func testRightGuessesAreAccepted() async throws {
        var checkpoint = try checkpoint()
        // All logits come from the final norm; with a weight of zeros they are all zero, and token 0 is the best.
        for name in ["model.norm.weight", "model.layers.4.shared_head.norm.weight"] {
            checkpoint.change(name) { $0.values = $0.values.map { _ in 0 } }
        }
        let pieces = try await generate(try checkpoint.model(), [5, 6, 7], drafts: 3)
        XCTAssertEqual(pieces.map(\.token), [Int](repeating: 0, count: 24))
        let statistics = try XCTUnwrap(pieces.last?.statistics)
        XCTAssertEqual(statistics.acceptedTokens, statistics.draftedTokens)
        // Five times three, and the two that are left.
        XCTAssertEqual(statistics.draftedTokens, 17)
    }

    func testWithoutALayerTheTextIsLookedUp() async throws {
        XCTAssertNil(try TinyCheckpoint().model().predictionLayer())
        let stripped = try TinyCheckpoint(.deepseekV32, ["num_nextn_predict_layers": "1"]).model()
        XCTAssertNil(try stripped.predictionLayer())
        let prompt = [1, 2, 3, 4, 1, 2, 3, 4, 1, 2]
        let pieces = try await generate(stripped, prompt, drafts: 2)
        let plain = try await generate(stripped, prompt, drafts: 0)
        XCTAssertEqual(pieces.map(\.token), plain.map(\.token))
    }

    func testALayerThatLacksAPartIsNamed() async throws {
        var checkpoint = try checkpoint()
        checkpoint.weights.removeAll { $0.name == "model.layers.4.hnorm.weight" }
        let model = try checkpoint.model()
        _ = try await generate(model, [1, 2], drafts: 0)
        let fault = TensorFault.missing
        await assertThrows(
            SparseInferenceError.checkpoint(
                file: "model.safetensors",
                .tensor("model.layers.4.hnorm.weight", fault)
            )
        ) {
            _ = try await self.generate(model, [1, 2], drafts: 1)
        }
    }

    private func assertThrows(
        _ expected: SparseInferenceError,
        _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            XCTFail("no error")
        } catch {
            XCTAssertEqual(error as? SparseInferenceError, expected)
        }
    }
}

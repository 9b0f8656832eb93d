import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// Mistakes made on purpose: each shows in the logits where it says it does.
final class ModelMistakeTests: XCTestCase {
    // Long enough for the rounding of head weights to change a selection.
    private let tokens = TinyCheckpoint.tokens(120)

    /// A model in which every mistake can show: YaRN, FP8 weights, biases that make all scores negative.
    private func checkpoint() throws -> TinyCheckpoint {
        let yarn = """
            {"type": "yarn", "factor": 4, "original_max_position_embeddings": 64, "beta_fast": 32, \
            "beta_slow": 1, "mscale": 1.0, "mscale_all_dim": 1.0}
            """
        return try TinyCheckpoint.quantizable(["rope_scaling": yarn, "topk_group": "1", "n_group": "2"])
            .changing("e_score_correction_bias") { $0.values = $0.values.map { $0 - 2 } }
            .throughFloat8().codes
    }

    func testEveryMistakeShows() throws {
        let checkpoint = try checkpoint()
        let precision = LanguageModel.Precision.deployed(activations: .float32)
        func logits(_ precision: LanguageModel.Precision, _ mistake: Mistake?, chunk: Int) throws -> Tensor {
            try checkpoint.model(precision, mistake: mistake).allLogits(tokens, chunk: chunk)
        }
        let exact = try logits(.float32, nil, chunk: 120)
        // Token by token: a chunk quantizes latents for the expansion whether they are cached so or not.
        let deployed = try logits(precision, nil, chunk: 1)
        for mistake in Mistake.allCases {
            let needsDeployed = mistake.needsFloat8
            let found = try logits(
                needsDeployed ? precision : .float32,
                mistake,
                chunk: needsDeployed ? 1 : 120
            )
            XCTAssertNotEqual(found.elements, (needsDeployed ? deployed : exact).elements, mistake.rawValue)
            assertFinite(found, mistake.rawValue)
        }
    }

    func testMistakesOfTheSelectionHideUpToTopK() throws {
        let checkpoint = try checkpoint()
        let short = Array(tokens.prefix(7))
        for precision in [LanguageModel.Precision.float32, .deployed(activations: .float32)] {
            let expected = try checkpoint.model(precision).allLogits(short)
            for mistake in Mistake.allCases where mistake.hidesUpToTopK {
                let found = try checkpoint.model(precision, mistake: mistake).allLogits(short)
                assertSameBits(found, expected, mistake.rawValue)
            }
        }
    }

    func testMistakesOfFloat8AreNoneInFloat32() throws {
        let checkpoint = try checkpoint()
        let expected = try checkpoint.model().allLogits(tokens)
        for mistake in Mistake.allCases where mistake.needsFloat8 {
            assertSameBits(
                try checkpoint.model(mistake: mistake).allLogits(tokens),
                expected,
                mistake.rawValue
            )
        }
    }

    func testEveryMistakeHasANameAndASource() {
        assertDistinct(Mistake.allCases.map(\.rawValue))
        for mistake in Mistake.allCases {
            XCTAssertFalse(mistake.source.isEmpty, mistake.rawValue)
            XCTAssertEqual(Mistake(rawValue: mistake.rawValue), mistake)
        }
    }
}

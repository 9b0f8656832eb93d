import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// `Precision.bfloat16` against `Precision.float32`.
final class RoundedPrecisionTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)

    /// Every token goes through every expert: no choice that a rounding could turn.
    private static let allExperts = [
        "n_routed_experts": "2", "n_group": "1", "topk_group": "1", "num_experts_per_tok": "2",
    ]

    /// How much more of a cosine may be lost than with activations alone rounded, as the official demo rounds them.
    ///
    /// Rounding weights stored in float32 as well doubles the square of the error; as in all comparisons with a
    /// plain computation, twice what that loses is allowed.
    private static let budget = 4.0

    func testDenseLogitsStayClose() throws {
        let dense = ForwardOptions(attention: .dense)
        let (codes, numbers) = try TinyCheckpoint.quantizable(Self.allExperts).throughFloat8()
        let plain = try TinyCheckpoint(.deepseekV32, Self.allExperts)
        for (checkpoint, same, name) in [(plain, plain, "float32"), (codes, numbers, "float8")] {
            let exact = try same.model().allLogits(tokens, dense)
            for chunk in [1, 40] {
                let found = try checkpoint.model(.bfloat16)
                    .allLogits(tokens, dense, chunk: chunk, cacheFormat: .bfloat16)
                // No FP8 weight in this one: its arithmetic is float32 with rounded activations.
                let expected = try same.model(.legacy(activations: .bfloat16)).allLogits(
                    tokens,
                    dense,
                    chunk: chunk
                )
                let (lost, allowed) = (try lostCosine(found, exact), try lostCosine(expected, exact))
                XCTAssertGreaterThan(lost, 0)
                XCTAssertLessThan(lost, Self.budget * allowed, "\(name), chunks of \(chunk)")
            }
        }
    }

    /// What the cosine between rows lacks to 1, on average.
    private func lostCosine(_ found: Tensor, _ expected: Tensor) throws -> Double {
        try tokens.indices.reduce(0) { sum, row in
            try sum + 1 - cosine(found.slice(row..<row + 1), expected.slice(row..<row + 1))
        } / Double(tokens.count)
    }

    func testThreadsDoNotChangeABit() throws {
        let checkpoint = try TinyCheckpoint()
        for chunk in [1, 40] {
            try assertSameForAnyWorkers("chunks of \(chunk)") { workers in
                [try checkpoint.model(.bfloat16, workers: workers).allLogits(tokens, chunk: chunk)]
            }
        }
    }

    func testCachesFollowThePrecision() throws {
        let checkpoint = try TinyCheckpoint()
        for (precision, format) in [
            (LanguageModel.Precision.float32, CacheFormat.float32), (.bfloat16, .bfloat16),
        ] {
            let model = try checkpoint.model(precision)
            XCTAssertEqual(
                try Session(model, capacity: 1).bytesPerToken,
                try Session(model, capacity: 1, cacheFormat: format).bytesPerToken,
                "\(precision)"
            )
        }
    }

    func testNames() {
        XCTAssertEqual(LanguageModel.Precision.bfloat16.description, "bfloat16")
        XCTAssertEqual(LanguageModel.Precision(name: "bfloat16"), .bfloat16)
    }

    private func cosine(_ a: Tensor, _ b: Tensor) -> Double {
        let (a, b) = (a.elements.map(Double.init), b.elements.map(Double.init))
        func dot(_ x: [Double], _ y: [Double]) -> Double { zip(x, y).reduce(0) { $0 + $1.0 * $1.1 } }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
    }
}

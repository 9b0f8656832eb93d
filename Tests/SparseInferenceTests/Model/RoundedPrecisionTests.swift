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

    /// Rounding two factors to 8 bits moves a product by 2^-9 · √(2/3) of itself on average, 1.6e-3, and a sum of
    /// many alike. Some eight linear layers one after the other in each of four layers add such errors in
    /// quadrature: 1e-2 of the logits, of which a cosine loses half the square. Ten times that is allowed.
    private static let lostCosine = 10 * 0.01 * 0.01 / 2

    func testDenseLogitsStayClose() throws {
        for checkpoint in try [
            TinyCheckpoint(.deepseekV32, Self.allExperts),
            TinyCheckpoint.quantizable(Self.allExperts).throughFloat8().codes,
        ] {
            let exact = try checkpoint.model().allLogits(tokens, ForwardOptions(attention: .dense))
            for chunk in [1, 40] {
                let rounded = try checkpoint.model(.bfloat16).allLogits(
                    tokens,
                    ForwardOptions(attention: .dense),
                    chunk: chunk,
                    cacheFormat: .bfloat16
                )
                XCTAssertNotEqual(rounded.elements, exact.elements)
                for row in tokens.indices {
                    let cosine = try cosine(rounded.slice(row..<row + 1), exact.slice(row..<row + 1))
                    XCTAssertGreaterThan(cosine, 1 - Self.lostCosine, "row \(row), chunks of \(chunk)")
                }
            }
        }
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

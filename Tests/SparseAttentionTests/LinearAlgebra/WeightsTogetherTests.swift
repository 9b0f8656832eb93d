import SparseAttention
import TestSupport
import XCTest

/// Several weights in one region of work against one after the other.
final class WeightsTogetherTests: XCTestCase {
    /// A weight's size, and where its input begins.
    private let sizes: [(rows: Int, columns: Int, start: Int)] = [
        (70, 9, 0), (1, 13, 4), (64, 9, 0), (130, 5, 12),
    ]

    func testResultsAreThoseOfEach() throws {
        var generator = SeededGenerator(seed: 1)
        let input = generator.tensor([17])
        for formats in [[StoredFormat.bfloat16], [.float8], [.bfloat16, .float8], StoredFormat.allCases] {
            let parts = try parts(formats)
            for products in ProductArithmetic.allCases {
                let found = WeightMatrix.apply(
                    parts.map { WeightMatrix.Part($0.weight, at: [$0.start]) },
                    to: input,
                    products: products,
                    workers: .all
                )
                let expected = try parts.flatMap { weight, start in
                    let part = try Tensor(
                        Array(input.elements[start..<start + weight.columns]),
                        shape: [1, weight.columns]
                    )
                    return weight.apply(to: part, products: products, workers: .one).elements
                }
                assertSameBits(
                    found,
                    try Tensor(expected, shape: [expected.count]),
                    "\(formats) \(products)"
                )
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        var generator = SeededGenerator(seed: 2)
        let input = generator.tensor([17])
        let parts = try parts(StoredFormat.allCases).map { WeightMatrix.Part($0.weight, at: [$0.start]) }
        try assertSameForAnyWorkers("together") { [WeightMatrix.apply(parts, to: input, workers: $0)] }
    }

    func testNothingGivesNothing() {
        XCTAssertEqual(WeightMatrix.apply([], to: Tensor(shape: [3]), workers: .all).count, 0)
    }

    private func parts(_ formats: [StoredFormat]) throws -> [(weight: WeightMatrix, start: Int)] {
        try sizes.enumerated().map { index, size in
            let format = formats[index % formats.count]
            let weight = try stored(format, rows: size.rows, columns: size.columns, seed: UInt64(index))
                .weight
            return (weight, size.start)
        }
    }
}

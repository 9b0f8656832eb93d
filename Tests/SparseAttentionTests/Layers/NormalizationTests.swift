import SparseAttention
import TestSupport
import XCTest

final class NormalizationTests: XCTestCase {
    private let shapes: [Shape] = [[1, 1], [3, 63], [2, 2, 100], [5, 17], [2, 512], [0, 4]]
    private let epsilon: Float = 1e-6

    func testRMSNormMatchesTheReference() throws {
        for shape in shapes {
            var generator = SeededGenerator(seed: UInt64(shape.columns))
            let norm = RMSNorm(weight: generator.tensor(Shape(trusted: [shape.columns])), epsilon: epsilon)
            let rows = generator.tensor(shape, magnitude: 10)
            let output = try norm(rows)
            XCTAssertEqual(output.shape, shape)
            let plain = rows.rowArrays.flatMap { row in
                let factor =
                    1 / (PlainLoops.dot(row[...], row[...]) / Float(row.count) + epsilon).squareRoot()
                return row.enumerated().map { norm.weight[$0] * ($1 * factor) }
            }
            assertAccurate(output, plain: plain, reference: norm.reference(rows), "\(shape)")
        }
    }

    func testLayerNormMatchesTheReference() throws {
        for shape in shapes {
            var generator = SeededGenerator(seed: UInt64(shape.columns))
            let width = Shape(trusted: [shape.columns])
            let norm = try LayerNorm(
                weight: generator.tensor(width),
                bias: generator.tensor(width),
                epsilon: epsilon
            )
            var rows = generator.tensor(shape, magnitude: 4)
            rows.add(Tensor(repeating: 3, shape: shape))
            let output = try norm(rows)
            XCTAssertEqual(output.shape, shape)
            let plain = rows.rowArrays.flatMap { row in
                let mean = row.reduce(0, +) / Float(row.count)
                let centred = row.map { $0 - mean }
                let variance = PlainLoops.dot(centred[...], centred[...]) / Float(row.count)
                let factor = 1 / (variance + epsilon).squareRoot()
                return centred.enumerated().map { $1 * factor * norm.weight[$0] + norm.bias[$0] }
            }
            assertAccurate(output, plain: plain, reference: norm.reference(rows), "\(shape)")
        }
    }

    func testMomentsOfTheResult() throws {
        var generator = SeededGenerator(seed: 1)
        let rows = generator.tensor([2, 100], magnitude: 30)
        let ones = Tensor(repeating: 1, shape: [100])
        for row in try RMSNorm(weight: ones, epsilon: 0)(rows).rowArrays {
            XCTAssertEqual(row.reduce(0) { $0 + $1 * $1 } / 100, 1, accuracy: Float(Tolerances.unitSum))
        }
        let zeros = Tensor(repeating: 0, shape: [100])
        for row in try LayerNorm(weight: ones, bias: zeros, epsilon: 0)(rows).rowArrays {
            XCTAssertEqual(row.reduce(0, +) / 100, 0, accuracy: Float(Tolerances.unitSum))
            XCTAssertEqual(row.reduce(0) { $0 + $1 * $1 } / 100, 1, accuracy: Float(Tolerances.unitSum))
        }
    }

    func testEqualElements() throws {
        let (ones, zeros) = (Tensor(repeating: 1, shape: [4]), Tensor(repeating: 0, shape: [2, 4]))
        XCTAssertEqual(try RMSNorm(weight: ones, epsilon: epsilon)(zeros), zeros)
        let norm = try LayerNorm(weight: ones, bias: Tensor(repeating: 2, shape: [4]), epsilon: epsilon)
        XCTAssertEqual(try norm(Tensor(repeating: 7, shape: [2, 4])), Tensor(repeating: 2, shape: [2, 4]))
    }

    func testNaNStaysInItsRow() throws {
        var generator = SeededGenerator(seed: 2)
        let rows = generator.tensor([3, 20])
        let norm = RMSNorm(weight: generator.tensor([20]), epsilon: epsilon)
        let (whole, broken) = (try norm(rows), try norm(rows.settingRows([1], to: .nan)))
        XCTAssertTrue(broken.rowArrays[1].allSatisfy(\.isNaN))
        XCTAssertEqual([broken.rowArrays[0], broken.rowArrays[2]], [whole.rowArrays[0], whole.rowArrays[2]])
    }

    func testRefusals() throws {
        let ones = Tensor(repeating: 1, shape: [4])
        let rows = Tensor(repeating: 1, shape: [2, 5])
        assertThrows(.dimensionMismatch(.columns, argument: "rows", expected: 4, found: 5)) {
            _ = try RMSNorm(weight: ones, epsilon: epsilon)(rows)
        }
        assertThrows(.dimensionMismatch(.columns, argument: "rows", expected: 4, found: 5)) {
            _ = try LayerNorm(weight: ones, bias: ones, epsilon: epsilon)(rows)
        }
        assertThrows(.shapeMismatch(argument: "bias", expected: [4], found: [2, 5])) {
            _ = try LayerNorm(weight: ones, bias: rows, epsilon: epsilon)
        }
    }
}

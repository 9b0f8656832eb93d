import SparseAttention
import TestSupport
import XCTest

final class SingularValueTests: XCTestCase {
    private let shapes: [[Int]] = [[1, 1], [1, 63], [63, 1], [7, 7], [100, 13], [13, 100]]

    func testFactorsGiveTheMatrixBack() throws {
        for (seed, dimensions) in shapes.enumerated() {
            var generator = SeededGenerator(seed: UInt64(seed))
            let matrix = generator.tensor(Shape(trusted: dimensions))
            let parts = try LinearAlgebra.singularValues(of: matrix)
            let rank = min(dimensions[0], dimensions[1])
            XCTAssertEqual(parts.left.shape, [dimensions[0], rank])
            XCTAssertEqual(parts.values.shape, [rank])
            XCTAssertEqual(parts.right.shape, [rank, dimensions[1]])
            var scaled = parts.left
            for index in 0..<scaled.count {
                scaled[index] *= parts.values[index % rank]
            }
            let product = try LinearAlgebra.multiply(scaled, parts.right)
            assertClose(product, matrix, within: Tolerances.orthogonality, "\(dimensions)")
            let values = parts.values.elements
            XCTAssertEqual(values, values.sorted(by: >), "\(dimensions)")
            XCTAssertGreaterThanOrEqual(values[rank - 1], 0)
        }
    }

    func testSingularVectorsAreOrthonormal() throws {
        for (seed, dimensions) in shapes.enumerated() {
            var generator = SeededGenerator(seed: UInt64(seed) + 100)
            let parts = try LinearAlgebra.singularValues(of: generator.tensor(Shape(trusted: dimensions)))
            try assertOrthonormalRows(parts.left.transposed, "left of \(dimensions)")
            try assertOrthonormalRows(parts.right, "right of \(dimensions)")
        }
    }

    func testKnownValues() throws {
        let parts = try LinearAlgebra.singularValues(of: Tensor([0, 2, 0, -3, 0, 0], shape: [2, 3]))
        assertClose(parts.values.elements, [3, 2], within: Tolerances.floor)
        let deficient = try LinearAlgebra.singularValues(of: Tensor([1, 2, 2, 4], shape: [2, 2]))
        assertClose(deficient.values.elements, [5, 0], within: Tolerances.floor)
    }

    func testTheArgumentIsNotChanged() throws {
        var generator = SeededGenerator(seed: 1)
        let matrix = generator.tensor([4, 3])
        let before = matrix.elements
        _ = try LinearAlgebra.singularValues(of: matrix)
        _ = try LinearAlgebra.leastSquares(matrix, matrix)
        XCTAssertEqual(matrix.elements, before)
    }

    func testRefusals() throws {
        assertThrows(.dimensionMismatch(.rank, argument: "matrix", expected: 2, found: 1)) {
            _ = try LinearAlgebra.singularValues(of: Tensor(repeating: 1, shape: [3]))
        }
        assertThrows(
            .invalidSetting(name: "matrix", found: "[0, 3]", expected: "at least one row and one column")
        ) {
            _ = try LinearAlgebra.singularValues(of: Tensor(repeating: 1, shape: [0, 3]))
        }
        assertThrows(.nonFinite(argument: "matrix", index: 2)) {
            _ = try LinearAlgebra.singularValues(of: Tensor([1, 2, .infinity, .nan], shape: [2, 2]))
        }
    }

    private func assertOrthonormalRows(_ rows: Tensor, _ message: String) throws {
        let gram = try LinearAlgebra.multiply(rows, rows.transposed)
        let rank = rows.shape[0]
        for index in 0..<gram.count {
            let expected: Float = index / rank == index % rank ? 1 : 0
            XCTAssertEqual(gram[index], expected, accuracy: Float(Tolerances.orthogonality), message)
        }
    }
}

final class LeastSquaresTests: XCTestCase {
    func testSolvesASquareSystem() throws {
        let solution = try LinearAlgebra.leastSquares(
            Tensor([2, 0, 1, 4], shape: [2, 2]),
            Tensor([4, 2, 10, 9], shape: [2, 2])
        )
        assertClose(solution, try Tensor([2, 1, 2, 2], shape: [2, 2]), within: Tolerances.leastSquares)
    }

    func testResidualIsOrthogonalToTheColumns() throws {
        for (rows, columns) in [(7, 3), (100, 13), (63, 1)] {
            var generator = SeededGenerator(seed: UInt64(rows))
            let matrix = generator.tensor(Shape(trusted: [rows, columns]))
            let targets = generator.tensor(Shape(trusted: [rows, 2]))
            let solution = try LinearAlgebra.leastSquares(matrix, targets)
            XCTAssertEqual(solution.shape, [columns, 2])
            var residual = try LinearAlgebra.multiply(matrix, solution)
            for index in 0..<residual.count {
                residual[index] -= targets[index]
            }
            for value in try LinearAlgebra.multiply(matrix.transposed, residual).elements {
                XCTAssertLessThan(Double(value.magnitude), Tolerances.leastSquares * Double(rows))
            }
        }
    }

    func testRankDeficientSystemsGetTheSmallestSolution() throws {
        // Both columns are equal: any x with x0 + x1 = 3 solves it, and (1.5, 1.5) is the shortest.
        let deficient = try LinearAlgebra.leastSquares(
            Tensor([1, 1, 2, 2, 3, 3], shape: [3, 2]),
            Tensor([3, 6, 9], shape: [3, 1])
        )
        assertClose(deficient.elements, [1.5, 1.5], within: Tolerances.leastSquares)
        let zero = try LinearAlgebra.leastSquares(
            Tensor(repeating: 0, shape: [3, 2]),
            Tensor(repeating: 1, shape: [3, 1])
        )
        XCTAssertEqual(zero.elements, [0, 0])
    }

    func testUnderdeterminedSystemsGetTheSmallestSolution() throws {
        let solution = try LinearAlgebra.leastSquares(
            Tensor([1, 2, 2], shape: [1, 3]),
            Tensor([9], shape: [1, 1])
        )
        XCTAssertEqual(solution.shape, [3, 1])
        assertClose(solution.elements, [1, 2, 2], within: Tolerances.leastSquares)
    }

    func testRefusals() throws {
        let (matrix, targets) = (Tensor(repeating: 1, shape: [3, 2]), Tensor(repeating: 1, shape: [3, 1]))
        assertThrows(.dimensionMismatch(.rank, argument: "matrix", expected: 2, found: 1)) {
            _ = try LinearAlgebra.leastSquares(Tensor(repeating: 1, shape: [3]), targets)
        }
        assertThrows(.dimensionMismatch(.rank, argument: "targets", expected: 2, found: 1)) {
            _ = try LinearAlgebra.leastSquares(matrix, Tensor(repeating: 1, shape: [3]))
        }
        assertThrows(.dimensionMismatch(.rows, argument: "targets", expected: 3, found: 2)) {
            _ = try LinearAlgebra.leastSquares(matrix, Tensor(repeating: 1, shape: [2, 1]))
        }
        assertThrows(
            .invalidSetting(name: "targets", found: "[3, 0]", expected: "at least one row and one column")
        ) {
            _ = try LinearAlgebra.leastSquares(matrix, Tensor(repeating: 1, shape: [3, 0]))
        }
        assertThrows(.nonFinite(argument: "targets", index: 1)) {
            _ = try LinearAlgebra.leastSquares(matrix, Tensor([1, .nan, 1], shape: [3, 1]))
        }
        assertThrows(.decompositionFailed(routine: "sgelsd", code: -10)) {
            _ = try LinearAlgebra.leastSquares(matrix, targets, tolerance: .nan)
        }
    }
}

import SparseAttention
import TestSupport
import XCTest

final class ProductTests: XCTestCase {
    func testMatrixProducts() throws {
        for each in MatrixCase.all {
            let (left, right) = each.factors
            let product = try LinearAlgebra.multiply(left, right.transposed)
            XCTAssertEqual(product.shape, [each.rows, each.columns])
            let (a, b) = (left.elements, right.elements)
            guard each.depth > 0 else {
                XCTAssertEqual(product.elements, [Float](repeating: 0, count: product.count), "\(each)")
                continue
            }
            assertAccurate(
                product,
                plain: PlainLoops.product(a, transposed: b, depth: each.depth),
                reference: PlainLoops.exactProduct(a, transposed: b, depth: each.depth),
                "\(each)"
            )
        }
    }

    func testMatrixVectorProducts() throws {
        for each in MatrixCase.all where each.columns > 0 && each.depth > 0 {
            let (matrix, vectors) = each.factors
            let vector = try vectors.slice(0..<1).reshaped(Shape(trusted: [each.depth]))
            let (a, x) = (matrix.elements, vector.elements)
            assertAccurate(
                try LinearAlgebra.multiply(matrix, vector: vector),
                plain: PlainLoops.product(a, transposed: x, depth: each.depth),
                reference: PlainLoops.exactProduct(a, transposed: x, depth: each.depth),
                "\(each)"
            )
        }
    }

    func testEmptySums() throws {
        let product = try LinearAlgebra.multiply(
            Tensor(repeating: 1, shape: [3, 0]),
            vector: Tensor(repeating: 1, shape: [0])
        )
        XCTAssertEqual(product.elements, [0, 0, 0])
    }

    func testThreadsDoNotChangeBits() throws {
        var generator = SeededGenerator(seed: 1)
        let (left, right) = (generator.tensor([301, 19]), generator.tensor([19, 13]))
        let vector = generator.tensor([19])
        try assertSameForAnyWorkers { workers in
            [
                try LinearAlgebra.multiply(left, right, workers: workers),
                try LinearAlgebra.multiply(left, vector: vector, workers: workers),
            ]
        }
    }

    func testNaNStaysInItsRow() throws {
        var generator = SeededGenerator(seed: 2)
        let (left, right) = (generator.tensor([9, 33]), generator.tensor([33, 5]))
        let whole = try LinearAlgebra.multiply(left, right)
        let broken = try LinearAlgebra.multiply(left.settingRows([4], to: .nan), right)
        for (index, value) in broken.elements.enumerated() {
            XCTAssertEqual(value.isNaN, index / 5 == 4)
            if index / 5 != 4 { XCTAssertEqual(value, whole[index]) }
        }
    }

    func testRefusals() throws {
        let (matrix, cube) = (Tensor(repeating: 1, shape: [2, 3]), Tensor(repeating: 1, shape: [1, 2, 3]))
        assertThrows(.dimensionMismatch(.rank, argument: "left", expected: 2, found: 3)) {
            _ = try LinearAlgebra.multiply(cube, matrix)
        }
        assertThrows(.dimensionMismatch(.rank, argument: "right", expected: 2, found: 3)) {
            _ = try LinearAlgebra.multiply(matrix, cube)
        }
        assertThrows(.dimensionMismatch(.rows, argument: "right", expected: 3, found: 2)) {
            _ = try LinearAlgebra.multiply(matrix, matrix)
        }
        assertThrows(.dimensionMismatch(.rank, argument: "matrix", expected: 2, found: 3)) {
            _ = try LinearAlgebra.multiply(cube, vector: matrix)
        }
        assertThrows(.shapeMismatch(argument: "vector", expected: [3], found: [2, 3])) {
            _ = try LinearAlgebra.multiply(matrix, vector: matrix)
        }
        assertThrows(.shapeMismatch(argument: "vector", expected: [3], found: [2])) {
            _ = try LinearAlgebra.multiply(matrix, vector: Tensor(repeating: 1, shape: [2]))
        }
    }
}

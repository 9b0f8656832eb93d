import SparseAttention
import TestSupport
import XCTest

final class BLASTests: XCTestCase {
    func testScaleAndAccumulation() throws {
        let left = try Tensor([1, 2, 3, 4], shape: [2, 2])
        let right = try Tensor([5, 6, 7, 8], shape: [2, 2])
        XCTAssertEqual(
            product(left, right, transposed: false, scale: 2, on: 100, accumulating: false),
            [38, 44, 86, 100]
        )
        XCTAssertEqual(
            product(left, right, transposed: true, scale: 1, on: 100, accumulating: true),
            [117, 123, 139, 153]
        )
    }

    func testAnEmptySumIsZeroOrChangesNothing() {
        let (left, right) = (Tensor(repeating: 1, shape: [2, 0]), Tensor(repeating: 1, shape: [2, 0]))
        XCTAssertEqual(
            product(left, right, transposed: true, scale: 1, on: 5, accumulating: false),
            [0, 0, 0, 0]
        )
        XCTAssertEqual(
            product(left, right, transposed: true, scale: 1, on: 5, accumulating: true),
            [5, 5, 5, 5]
        )
    }

    func testPartsOfLargerMatrices() throws {
        var generator = SeededGenerator(seed: 3)
        let (left, right) = (generator.integers([5, 9]), generator.integers([4, 9]))
        var output = Tensor(repeating: -1, shape: [5, 7])
        output.withMutableMatrix { output in
            left.withMatrix { left in
                right.withMatrix { right in
                    BLAS.multiply(
                        left.columns(2..<5),
                        transposed: right.columns(2..<5),
                        into: output.columns(1..<5)
                    )
                }
            }
        }
        let expected = PlainLoops.product(
            left.columns(2..<5).elements,
            transposed: right.columns(2..<5).elements,
            depth: 3
        )
        XCTAssertEqual(output.columns(1..<5).elements, expected)
        XCTAssertEqual(
            output.columns(0..<1).elements + output.columns(5..<7).elements,
            [Float](repeating: -1, count: 15)
        )
    }

    func testDescriptionNamesTheLibrary() {
        XCTAssertTrue(BLAS.description.contains("OpenBLAS"), BLAS.description)
    }

    private func product(
        _ left: Tensor,
        _ right: Tensor,
        transposed: Bool,
        scale: Float,
        on start: Float,
        accumulating: Bool
    ) -> [Float] {
        var output = Tensor(repeating: start, shape: [2, 2])
        output.withMutableMatrix { output in
            left.withMatrix { left in
                right.withMatrix { right in
                    if transposed {
                        BLAS.multiply(
                            left,
                            transposed: right,
                            scale: scale,
                            accumulating: accumulating,
                            into: output
                        )
                    } else {
                        BLAS.multiply(left, right, scale: scale, accumulating: accumulating, into: output)
                    }
                }
            }
        }
        return output.elements
    }
}

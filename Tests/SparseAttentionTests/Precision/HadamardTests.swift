import SparseAttention
import TestSupport
import XCTest

final class HadamardTests: XCTestCase {
    func testSylvesterOrder() throws {
        let units = try Tensor([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1], shape: [4, 4])
        let expected: [Float] = [1, 1, 1, 1, 1, -1, 1, -1, 1, 1, -1, -1, 1, -1, -1, 1]
        XCTAssertEqual(try units.hadamardRotated().elements, expected.map { $0 / 2 })
        XCTAssertEqual(try Tensor([3], shape: [1]).hadamardRotated().elements, [3])
    }

    func testIsItsOwnInverse() throws {
        for width in [1, 2, 16, 64, 128] {
            var generator = SeededGenerator(seed: UInt64(width))
            let rows = generator.tensor(Shape(trusted: [2, 3, width]))
            let back = try rows.hadamardRotated().hadamardRotated()
            XCTAssertEqual(back.shape, rows.shape)
            assertClose(back, rows, within: Tolerances.floor, "\(width)")
        }
    }

    func testKeepsDotProducts() throws {
        var generator = SeededGenerator(seed: 7)
        let (left, right) = (generator.tensor([5, 128]), generator.tensor([7, 128]))
        let (turnedLeft, turnedRight) = (try left.hadamardRotated(), try right.hadamardRotated())
        assertClose(
            PlainLoops.product(turnedLeft.elements, transposed: turnedRight.elements, depth: 128),
            PlainLoops.exactProduct(left.elements, transposed: right.elements, depth: 128),
            within: Tolerances.scaledProducts
        )
    }

    func testMatchesTheMatrix() throws {
        var generator = SeededGenerator(seed: 8)
        let rows = generator.tensor([3, 32])
        let matrix = (0..<32 * 32).map { Float((($0 / 32) & ($0 % 32)).nonzeroBitCount % 2 == 0 ? 1 : -1) }
        let expected = PlainLoops.exactProduct(rows.elements, transposed: matrix, depth: 32)
        assertClose(
            try rows.hadamardRotated().elements,
            expected.map { $0 / 32.0.squareRoot() },
            within: Tolerances.floor
        )
    }

    func testRefusesOtherWidths() {
        for width in [0, 3, 96] {
            assertThrows(.invalidSetting(name: "columns", found: "\(width)", expected: "a power of two")) {
                _ = try Tensor(repeating: 1, shape: Shape(trusted: [2, width])).hadamardRotated()
            }
        }
    }
}

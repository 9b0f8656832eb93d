import SparseAttention
import TestSupport
import XCTest

final class SoftmaxTests: XCTestCase {
    func testMatchesTheReference() throws {
        for columns in [1, 2, 63, 100, 131] {
            var generator = SeededGenerator(seed: UInt64(columns))
            let rows = generator.tensor(Shape(trusted: [3, columns]), magnitude: 20)
            for scale: Float in [1, 0.125] {
                let scaled = rows.rowArrays.map { $0.map { $0 * scale } }
                assertAccurate(
                    try Softmax.apply(rows, scale: scale),
                    plain: scaled.flatMap(PlainLoops.softmax),
                    reference: scaled.flatMap { Softmax.reference($0.map(Double.init)) },
                    "\(columns) columns, scale \(scale)"
                )
            }
        }
    }

    func testRowsSumToOne() throws {
        for columns in [1, 63, 200] {
            var generator = SeededGenerator(seed: UInt64(columns) + 1)
            for magnitude: Float in [1e-3, 1, 80] {
                let rows = generator.tensor(Shape(trusted: [4, columns]), magnitude: magnitude)
                for row in try Softmax.apply(rows).rowArrays {
                    XCTAssertEqual(Double(row.reduce(0, +)), 1, accuracy: Tolerances.unitSum)
                    XCTAssertTrue(row.allSatisfy { $0 >= 0 })
                }
            }
        }
    }

    func testHiddenColumnsGetNothing() throws {
        let rows = try Tensor([1, -.infinity, 1, -.infinity, -.infinity, -.infinity], shape: [2, 3])
        XCTAssertEqual(try Softmax.apply(rows).elements, [0.5, 0, 0.5, 0, 0, 0])
        XCTAssertEqual(Softmax.reference([1, -.infinity, 1]), [0.5, 0, 0.5])
        XCTAssertEqual(Softmax.reference([-.infinity]), [0])
    }

    func testLargeNumbersDoNotOverflow() throws {
        let rows = try Tensor([1e30, 1e30, -1e30, 1000, 0, -1000], shape: [2, 3])
        XCTAssertEqual(try Softmax.apply(rows).elements, [0.5, 0.5, 0, 1, 0, 0])
    }

    func testNaNStaysInItsRow() throws {
        let rows = try Tensor([1, .nan, 1, 1], shape: [2, 2])
        let output = try Softmax.apply(rows).elements
        XCTAssertTrue(output[0].isNaN && output[1].isNaN)
        XCTAssertEqual(Array(output[2...]), [0.5, 0.5])
    }

    func testEmptyRows() throws {
        XCTAssertEqual(try Softmax.apply(Tensor(repeating: 0, shape: [3, 0])).shape, [3, 0])
        XCTAssertEqual(try Softmax.apply(Tensor(repeating: 0, shape: [0, 3])).shape, [0, 3])
    }

    func testRefusesScales() {
        for scale: Float in [0, -1, .nan, .infinity] {
            assertThrows(.invalidSetting(name: "scale", found: "\(scale)", expected: "a positive number")) {
                _ = try Softmax.apply(Tensor(repeating: 0, shape: [1, 1]), scale: scale)
            }
        }
    }
}

final class SwiGLUTests: XCTestCase {
    func testMatchesTheReference() throws {
        for count in [1, 15, 16, 63, 100] {
            var generator = SeededGenerator(seed: UInt64(count))
            let gate = generator.tensor(Shape(trusted: [2, count]), magnitude: 30)
            let up = generator.tensor(Shape(trusted: [2, count]), magnitude: 3)
            let output = try SwiGLU.apply(gate: gate, up: up)
            XCTAssertEqual(output.shape, gate.shape)
            for index in 0..<output.count {
                let expected = SwiGLU.reference(gate: Double(gate[index]), up: Double(up[index]))
                // The kernel states 6 · 2^-24; a unit is at most 2^-23 of the number.
                let bound = expected.magnitude * 4 * 0x1p-23 + 1e-37
                XCTAssertEqual(Double(output[index]), expected, accuracy: bound, "gate \(gate[index])")
            }
        }
    }

    func testEdges() throws {
        let gate = try Tensor([0, 200, -200, .nan, 1], shape: [5])
        let up = try Tensor([5, 2, 2, 1, .nan], shape: [5])
        let output = try SwiGLU.apply(gate: gate, up: up).elements
        XCTAssertEqual(Array(output[..<2]), [0, 400])
        XCTAssertEqual(output[2], 0, accuracy: 1e-37)
        XCTAssertTrue(output[3].isNaN && output[4].isNaN)
    }

    func testRefusesDifferentShapes() {
        assertThrows(.shapeMismatch(argument: "up", expected: [2, 3], found: [3, 2])) {
            _ = try SwiGLU.apply(
                gate: Tensor(repeating: 1, shape: [2, 3]),
                up: Tensor(repeating: 1, shape: [3, 2])
            )
        }
    }
}

import SparseAttention
import TestSupport
import XCTest

final class QuantizedRowsTests: XCTestCase {
    private let formats: [ScaleFormat] = [.float32, .powerOfTwo]

    func testEveryBlockHasItsScale() throws {
        for format in formats {
            for (rows, columns) in [(1, 1), (3, 63), (2, 128), (3, 129), (2, 257)] {
                var generator = SeededGenerator(seed: UInt64(columns))
                let tensor = generator.tensor(Shape(trusted: [rows, columns]), magnitude: 20)
                let quantized = try QuantizedRows(quantizing: tensor, format: format)
                XCTAssertEqual([quantized.rows, quantized.columns], [rows, columns])
                XCTAssertEqual(quantized.blocks, (columns + 127) / 128)
                for (row, elements) in tensor.rowArrays.enumerated() {
                    for block in 0..<quantized.blocks {
                        let part = elements[block * 128..<min((block + 1) * 128, columns)]
                        let scale = format.scale(forLargest: part.map(\.magnitude).max() ?? 0)
                        XCTAssertEqual(quantized.scales[row * quantized.blocks + block], scale)
                        for (column, element) in zip(part.indices, part) {
                            let code = quantized.codes[row * columns + column]
                            XCTAssertEqual(code, Float8E4M3(element / scale).bitPattern)
                        }
                    }
                }
            }
        }
    }

    func testErrorIsHalfAStep() throws {
        for format in formats {
            var generator = SeededGenerator(seed: 5)
            let tensor = generator.tensor([5, 131], magnitude: 3)
            let quantized = try QuantizedRows(quantizing: tensor, format: format)
            let values = quantized.dequantized()
            for index in 0..<tensor.count {
                let scale = quantized.scales[index / 131 * 2 + index % 131 / 128]
                // Half a step of a normal number is 1/16 of it, of a subnormal 2^-10 of a unit.
                let step = max(tensor[index].magnitude / 16, scale * 0x1p-10)
                XCTAssertLessThanOrEqual(
                    (values[index] - tensor[index]).magnitude,
                    step * 1.001,
                    "\(format) \(index)"
                )
            }
        }
    }

    func testASecondTripChangesNothing() throws {
        var generator = SeededGenerator(seed: 6)
        let once = try generator.tensor([3, 2, 130], magnitude: 7).roundedThroughFloat8(format: .powerOfTwo)
        XCTAssertEqual(once.shape, [3, 2, 130])
        assertSameBits(try once.roundedThroughFloat8(format: .powerOfTwo), once)
    }

    func testZeroAndTinyRows() throws {
        for format in formats {
            let zeros = try QuantizedRows(quantizing: Tensor(repeating: 0, shape: [2, 5]), format: format)
            XCTAssertEqual(zeros.codes, [UInt8](repeating: 0, count: 10))
            XCTAssertEqual(zeros.dequantized().elements, [Float](repeating: 0, count: 10))
            XCTAssertEqual(zeros.scales, [Float](repeating: format.scale(forLargest: 0), count: 2))
            let tiny = try Tensor([1e-6, -1e-9, .leastNonzeroMagnitude, 0], shape: [1, 4])
            let rounded = try tiny.roundedThroughFloat8(format: format)
            XCTAssertEqual(rounded[0], 1e-6, accuracy: 1e-6 / 16)
            XCTAssertEqual([rounded[2], rounded[3]], [0, 0])
        }
    }

    func testHugeRowsStayFinite() throws {
        let huge = try Tensor([3e38, -1, 0], shape: [1, 3])
        for format in formats {
            let rounded = try huge.roundedThroughFloat8(format: format)
            XCTAssertEqual(rounded[0], 3e38, accuracy: 3e38 / 16)
            XCTAssertEqual(rounded[1], 0)
        }
    }

    func testEmptyRows() throws {
        for shape: Shape in [[0, 5], [3, 0]] {
            let quantized = try QuantizedRows(
                quantizing: Tensor(repeating: 0, shape: shape),
                format: .float32
            )
            XCTAssertEqual(quantized.codes, [])
            XCTAssertEqual(quantized.dequantized().shape, shape)
        }
    }

    func testKnownCodesAreKept() throws {
        let rows = try QuantizedRows(rows: 1, columns: 3, codes: [0x38, 0xB8, 0x7E], scales: [0.5])
        XCTAssertEqual(rows.dequantized().elements, [0.5, -0.5, 224])
        XCTAssertEqual(rows.widenedCodes().elements, [1, -1, 448])
    }

    func testRefusals() throws {
        assertThrows(.nonFinite(argument: "tensor", index: 1)) {
            _ = try QuantizedRows(quantizing: Tensor([0, .nan], shape: [1, 2]), format: .float32)
        }
        assertThrows(.nonFinite(argument: "tensor", index: 0)) {
            _ = try Tensor([-.infinity, 0], shape: [1, 2]).roundedThroughFloat8(format: .powerOfTwo)
        }
        assertThrows(.shapeMismatch(argument: "codes", expected: [2, 3], found: [5])) {
            _ = try QuantizedRows(
                rows: 2,
                columns: 3,
                codes: [UInt8](repeating: 0, count: 5),
                scales: [1, 1]
            )
        }
        assertThrows(.shapeMismatch(argument: "scales", expected: [1, 2], found: [1])) {
            _ = try QuantizedRows(
                rows: 1,
                columns: 129,
                codes: [UInt8](repeating: 0, count: 129),
                scales: [1]
            )
        }
        assertThrows(
            .invalidSetting(
                name: "shape",
                found: "[-1, 3]",
                expected: "dimensions >= 0 whose product fits in \(Int.bitWidth) bits"
            )
        ) {
            _ = try QuantizedRows(rows: -1, columns: 3, codes: [], scales: [])
        }
    }
}

import SparseAttention
import TestSupport
import XCTest

final class MatrixViewTests: XCTestCase {
    func testRowsAndColumnsOfAView() throws {
        let tensor = try Tensor((0..<12).map(Float.init), shape: [3, 4])
        tensor.withMatrix { matrix in
            let part = matrix.rows(1..<3).columns(1..<3)
            XCTAssertEqual([part.rows, part.columns, part.stride], [2, 2, 4])
            XCTAssertEqual(part[0][0], 5)
            XCTAssertEqual(part[1][1], 10)
            XCTAssertEqual(matrix.reshaped(rows: 2, columns: 6)[1][0], 6)
        }
    }

    func testWritingThroughAView() throws {
        let source = try Tensor([1, 2, 3, 4], shape: [2, 2])
        var target = Tensor(repeating: 0, shape: [3, 3])
        target.withMutableMatrix { target in
            source.withMatrix { target.rows(0..<2).columns(1..<3).copy(from: $0) }
            target.rows(2..<3).reshaped(rows: 3, columns: 1).rows(0..<1).fill(9)
            XCTAssertEqual(target.view[0][1], 1)
        }
        XCTAssertEqual(target.elements, [0, 1, 2, 0, 3, 4, 9, 0, 0])
    }

    func testStoredRowsAreWidened() throws {
        let numbers = try Tensor([1, -2, 0.5, 3, 1 + 0x1p-7, 8], shape: [3, 2])
        let bits = numbers.elements.map { BFloat16($0).bitPattern }
        bits.withUnsafeBytes { bytes in
            guard let base = bytes.baseAddress else { return XCTFail("no bytes") }
            let rows = RowsView(base: base, format: .bfloat16, rows: 3, columns: 2, stride: 2)
            XCTAssertEqual(rows.widened(), numbers)
            XCTAssertEqual(rows.scratchFloats(rows: 2), 4)
            var scratch = Tensor(uninitialized: [2, 2])
            scratch.withMutableMatrix { scratch in
                let tile = rows.tile(1..<3, scratch: scratch)
                XCTAssertEqual([tile[0][0], tile[1][1]], [0.5, 8])
                rows.gather([2, 0], into: scratch)
            }
            XCTAssertEqual(scratch.elements, [1 + 0x1p-7, 8, 1, -2])
        }
    }

    func testFloatRowsStayInPlace() throws {
        let numbers = try Tensor([1, 2, 3, 4], shape: [2, 2])
        var scratch = Tensor(uninitialized: [0, 2])
        numbers.withRows { rows in
            XCTAssertEqual(rows.scratchFloats(rows: 2), 0)
            let base = numbers.withMatrix { $0.base }
            scratch.withMutableMatrix { XCTAssertEqual(rows.tile(1..<2, scratch: $0).base, base + 2) }
        }
    }

    func testScratchMatricesAreAlignedAndPoisoned() {
        let scratch = Scratch(floats: 20, matrices: 2)
        let (first, second) = (scratch.matrix(rows: 1, columns: 3), scratch.matrix(rows: 2, columns: 5))
        for matrix in [first, second] {
            XCTAssertEqual(Int(bitPattern: matrix.base) % AlignedBuffer.alignment, 0)
            XCTAssertEqual(matrix[0][0].isNaN, AlignedBuffer.poisonsFreshMemory)
        }
        XCTAssertGreaterThanOrEqual(second.base - first.base, 3)
        withExtendedLifetime(scratch) {}
    }
}

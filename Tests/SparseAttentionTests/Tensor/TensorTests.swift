import SparseAttention
import TestSupport
import XCTest

final class TensorTests: XCTestCase {
    private let counting: [Float] = [0, 1, 2, 3, 4, 5]

    func testElements() throws {
        var tensor = try Tensor(counting, shape: [2, 3])
        XCTAssertEqual(tensor.elements, counting)
        XCTAssertEqual(tensor[4], 4)
        tensor[4] = -1
        XCTAssertEqual(tensor.elements, [0, 1, 2, 3, -1, 5])
        XCTAssertEqual(Tensor(repeating: 7, shape: [2, 2]).elements, [7, 7, 7, 7])
        XCTAssertEqual(Tensor(repeating: 7, shape: [0, 2]).elements, [])
        XCTAssertEqual(try Tensor([3], shape: []).elements, [3])
    }

    func testFreshMemoryIsPoisonedInDebugBuilds() {
        let fresh = Tensor(uninitialized: [3, 5])
        XCTAssertEqual(fresh.elements.allSatisfy(\.isNaN), AlignedBuffer.poisonsFreshMemory)
    }

    func testRefusals() throws {
        let tensor = try Tensor(counting, shape: [2, 3])
        assertThrows(.shapeMismatch(argument: "elements", expected: [2, 2], found: [6])) {
            _ = try Tensor(counting, shape: [2, 2])
        }
        assertThrows(.shapeMismatch(argument: "tensor", expected: [7], found: [2, 3])) {
            _ = try tensor.reshaped([7])
        }
        assertThrows(.positionOutOfRange(position: 3, allowed: 0..<3)) { _ = try tensor.slice(1..<3) }
        assertThrows(.positionOutOfRange(position: -1, allowed: 0..<3)) { _ = try tensor.slice(-1..<1) }
    }
}

// MARK: - Value semantics

extension TensorTests {
    func testCopiesDivergeWhenWritten() throws {
        let original = try Tensor(counting, shape: [6])
        var copy = original
        copy[0] = 9
        XCTAssertEqual(original.elements, counting)
        XCTAssertEqual(copy.elements, [9, 1, 2, 3, 4, 5])
        var second = copy
        second.withMutableElements { $0[5] = 8 }
        XCTAssertEqual(copy[5], 5)
        XCTAssertEqual(second[5], 8)
    }

    func testSlicesShareMemoryUntilWritten() throws {
        var whole = try Tensor(counting, shape: [3, 2])
        var slice = try whole.slice(1..<3)
        XCTAssertEqual(slice.shape, [2, 2])
        XCTAssertEqual(slice.elements, [2, 3, 4, 5])
        let wholeStart = whole.withMatrix { Int(bitPattern: $0.base) }
        XCTAssertEqual(
            slice.withMatrix { Int(bitPattern: $0.base) },
            wholeStart + 2 * MemoryLayout<Float>.stride
        )
        slice[0] = 9
        XCTAssertEqual(whole.elements, counting)
        XCTAssertEqual(slice.elements, [9, 3, 4, 5])
        let inner = try slice.slice(1..<2)
        whole[5] = 7
        slice[3] = 6
        XCTAssertEqual(inner.elements, [4, 5])
        XCTAssertEqual(slice.elements, [9, 3, 4, 6])
        XCTAssertEqual(whole.elements, [0, 1, 2, 3, 4, 7])
    }

    func testSliceOutlivesItsWhole() throws {
        var slice = try Tensor(counting, shape: [6]).slice(2..<4)
        slice[1] = 8
        XCTAssertEqual(slice.elements, [2, 8])
        XCTAssertEqual(try slice.slice(2..<2).elements, [])
        XCTAssertEqual(try Tensor([1], shape: []).slice(0..<0).count, 0)
    }

    func testReshapedSharesUntilWritten() throws {
        let flat = try Tensor(counting, shape: [6])
        var matrix = try flat.reshaped([3, 2])
        matrix[0] = 9
        XCTAssertEqual(flat[0], 0)
        XCTAssertEqual(matrix.elements, [9, 1, 2, 3, 4, 5])
        XCTAssertEqual(matrix.shape, [3, 2])
    }

    func testLentMatrixWritesOneCopyOnly() throws {
        let original = try Tensor(counting, shape: [2, 3])
        var copy = original
        copy.withMutableMatrix { $0.columns(1..<2).fill(-1) }
        XCTAssertEqual(copy.elements, [0, -1, 2, 3, -1, 5])
        XCTAssertEqual(original.elements, counting)
    }
}

// MARK: - Comparison and rows

extension TensorTests {
    func testEquality() throws {
        let tensor = try Tensor(counting, shape: [2, 3])
        XCTAssertEqual(tensor, try Tensor(counting, shape: [2, 3]))
        XCTAssertNotEqual(tensor, try tensor.reshaped([3, 2]))
        let nan = Tensor(repeating: .nan, shape: [1])
        XCTAssertNotEqual(nan, nan)
        XCTAssertTrue(nan.isBitwiseEqual(to: nan))
        let (plus, minus) = (Tensor(repeating: 0, shape: [1]), Tensor(repeating: -0.0, shape: [1]))
        XCTAssertEqual(plus, minus)
        XCTAssertFalse(plus.isBitwiseEqual(to: minus))
    }

    func testFirstNonFinite() throws {
        XCTAssertNil(try Tensor(counting, shape: [6]).firstNonFinite)
        XCTAssertEqual(try Tensor([0, 1, -.infinity, .nan], shape: [4]).firstNonFinite, 2)
        XCTAssertNil(Tensor(repeating: 0, shape: [0]).firstNonFinite)
    }

    func testColumnsAndGatheredRows() throws {
        let tensor = try Tensor(counting, shape: [2, 3])
        XCTAssertEqual(tensor.columns(1..<3), try Tensor([1, 2, 4, 5], shape: [2, 2]))
        XCTAssertEqual(tensor.columns(2..<2).shape, [2, 0])
        XCTAssertEqual(tensor.gathered([1, 0, 1]), try Tensor([3, 4, 5, 0, 1, 2, 3, 4, 5], shape: [3, 3]))
        XCTAssertEqual(tensor.gathered([]).shape, [0, 3])
    }

    func testAdding() throws {
        var sum = try Tensor(counting, shape: [2, 3])
        let other = try Tensor([1, 1, 1, 2, 2, 2], shape: [2, 3])
        sum.add(other)
        XCTAssertEqual(sum.elements, [1, 2, 3, 5, 6, 7])
        sum.add(other, row: 1, times: 0.5, toRow: 0)
        XCTAssertEqual(sum.elements, [2, 3, 4, 5, 6, 7])
        sum.add(sum)
        XCTAssertEqual(sum.elements, [4, 6, 8, 10, 12, 14])
    }

    func testStorageStartsOnACacheLine() {
        for count in [1, 3, 100] {
            let address = Tensor(repeating: 0, shape: Shape(trusted: [count])).withMatrix {
                Int(bitPattern: $0.base)
            }
            XCTAssertEqual(address % AlignedBuffer.alignment, 0)
        }
    }
}

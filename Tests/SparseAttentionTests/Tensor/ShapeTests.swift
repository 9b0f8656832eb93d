import SparseAttention
import TestSupport
import XCTest

final class ShapeTests: XCTestCase {
    func testSizes() throws {
        let shape = try Shape([2, 3, 5])
        XCTAssertEqual(shape.count, 30)
        XCTAssertEqual(shape.rank, 3)
        XCTAssertEqual(shape[1], 3)
        XCTAssertEqual(shape.rows, 6)
        XCTAssertEqual(shape.columns, 5)
        XCTAssertEqual(shape, [2, 3, 5])
        XCTAssertEqual(shape.description, "[2, 3, 5]")
    }

    func testScalarAndEmpty() throws {
        let scalar = try Shape([])
        XCTAssertEqual([scalar.count, scalar.rank, scalar.rows, scalar.columns], [1, 0, 1, 1])
        XCTAssertEqual(try Shape([3, 0, 4]).count, 0)
        XCTAssertEqual(try Shape([0, .max]).count, 0)
    }

    func testRefusesWhatHasNoCount() {
        for dimensions in [[-1], [0, -1], [2, -3], [.max, 2], [1 << 32, 1 << 32], [.max, 2, 0]] {
            assertThrows(
                .invalidSetting(
                    name: "shape",
                    found: "\(dimensions)",
                    expected: "dimensions >= 0 whose product fits in \(Int.bitWidth) bits"
                )
            ) {
                _ = try Shape(dimensions)
            }
        }
        XCTAssertEqual(try Shape([.max]).count, .max)
    }

    func testErrorsDescribeThemselves() {
        let errors: [SparseAttentionError] = [
            .shapeMismatch(argument: "keys", expected: [1, 2], found: [3]),
            .dimensionMismatch(.headDim, argument: "keys", expected: 4, found: 5),
            .nonFinite(argument: "matrix", index: 6),
            .invalidSetting(name: "topK", found: "0", expected: "at least 1"),
            .positionOutOfRange(position: 9, allowed: 0..<7),
            .cacheFull(capacity: 8, requested: 9),
            .insufficientMemory(requested: 10, available: 9),
            .decompositionFailed(routine: "sgesdd", code: 1),
        ]
        XCTAssertEqual(Set(errors.map(\.description)).count, errors.count)
        XCTAssertEqual(errors[0].description, "'keys' has shape [3], expected [1, 2]")
        XCTAssertEqual(errors[1].description, "'keys' has headDim 5, expected 4")
        XCTAssertEqual(errors[4].description, "position 9 is outside 0 ..< 7")
    }
}

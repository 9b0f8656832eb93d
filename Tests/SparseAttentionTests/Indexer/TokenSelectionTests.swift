import SparseAttention
import TestSupport
import XCTest

final class TokenSelectionTests: XCTestCase {
    func testRowsAndSets() throws {
        let selection = try TokenSelection(positions: [3, -1, 0, -1, -1, -5], queryTokens: 2, slots: 3)
        XCTAssertEqual(Array(selection[0]), [3, -1, 0])
        XCTAssertEqual(Array(selection[1]), [-1, -1, -5])
        XCTAssertEqual(selection.sets, [[0, 3], []])
        XCTAssertEqual(try TokenSelection(positions: [], queryTokens: 2, slots: 0).sets, [[], []])
    }

    func testEverything() {
        let selection = TokenSelection.everything(queryTokens: 2, position: 1)
        XCTAssertEqual([selection.queryTokens, selection.slots], [2, 3])
        XCTAssertEqual(selection.sets, [[0, 1], [0, 1, 2]])
        XCTAssertEqual(TokenSelection.everything(queryTokens: 0, position: 2).positions, [])
    }

    func testRefusals() {
        assertThrows(.shapeMismatch(argument: "positions", expected: [2, 3], found: [5])) {
            _ = try TokenSelection(positions: [0, 0, 0, 0, 0], queryTokens: 2, slots: 3)
        }
        assertThrows(
            .invalidSetting(
                name: "shape",
                found: "[-1, 3]",
                expected: "dimensions >= 0 whose product fits in \(Int.bitWidth) bits"
            )
        ) {
            _ = try TokenSelection(positions: [], queryTokens: -1, slots: 3)
        }
    }
}

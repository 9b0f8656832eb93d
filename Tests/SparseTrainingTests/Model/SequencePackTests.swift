import SparseAttention
import XCTest

@testable import SparseTraining

/// How sequences are laid one behind the other.
final class SequencePackTests: XCTestCase {
    func testEverySequenceIsInOnePart() {
        XCTAssertEqual(SequencePack.parts([]), [])
        XCTAssertEqual(SequencePack.parts([10_000]), [0..<1])
        XCTAssertEqual(SequencePack.parts([10_000, 2, 3, 10_000, 4]), [0..<1, 1..<3, 3..<4, 4..<5])
        let lengths = (0..<100).map { 20 + $0 * 13 % 50 }
        let parts = SequencePack.parts(lengths)
        XCTAssertEqual(parts.flatMap { Array($0) }, Array(0..<100))
        let tokens = parts.map { lengths[$0].reduce(0, +) }
        XCTAssertTrue(tokens.allSatisfy { $0 <= 320 }, "\(tokens)")
        XCTAssertTrue(tokens.dropLast().allSatisfy { $0 > 320 - 70 }, "as full as they get: \(tokens)")
    }

    func testRowsKnowTheirPlace() {
        let pack = SequencePack([[7, 8, 9], [4, 5]])
        XCTAssertEqual(pack.tokens, [7, 8, 9, 4, 5])
        XCTAssertEqual(pack.rows, [0..<3, 3..<5])
        XCTAssertEqual(pack.positions, [0, 1, 2, 0, 1])
        XCTAssertEqual(pack.predicting, [0, 1, 3])
    }

    func testSelectionsMoveToTheirSequence() throws {
        let pack = SequencePack([[7, 8, 9], [4, 5]])
        let none = TokenSelection.unused
        let chosen = try TokenSelection(positions: [0, none, 0, 1, 0, 2], queryTokens: 3, slots: 2)
        let joined = try XCTUnwrap(try pack.joined([chosen, nil]))
        XCTAssertEqual(joined.sets, [[0], [0, 1], [0, 2], [3], [3, 4]])
        XCTAssertEqual(try pack.everything?.sets, [[0], [0, 1], [0, 1, 2], [3], [3, 4]])
        XCTAssertNil(try SequencePack([[7, 8, 9]]).everything)
        XCTAssertThrowsError(try pack.joined([nil, chosen])) {
            XCTAssertEqual(
                $0 as? SparseAttentionError,
                .dimensionMismatch(.queryTokens, argument: "selection", expected: 2, found: 3)
            )
        }
    }
}

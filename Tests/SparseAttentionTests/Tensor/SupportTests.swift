import SparseAttention
import TestSupport
import XCTest

/// What the other tests lean on.
final class SupportTests: XCTestCase {
    func testCaseListsHoldNothingTwice() {
        assertDistinct(MatrixCase.all)
        assertDistinct(AttentionCase.all + AttentionCase.split)
        assertDistinct(SelectionCase.all)
        assertDistinct(LatentCase.all + LatentCase.long)
        assertDistinct(IndexerCase.all + IndexerCase.exact)
    }

    func testSeedsDecideTheNumbers() {
        var (first, second, other) = (
            SeededGenerator(seed: 1), SeededGenerator(seed: 1), SeededGenerator(seed: 2)
        )
        let (a, b, c) = (first.tensor([100]), second.tensor([100]), other.tensor([100]))
        XCTAssertEqual(a, b)
        XCTAssertNotEqual(a, c)
        XCTAssertTrue(a.elements.allSatisfy { (-1..<1).contains($0) })
        XCTAssertLessThan((a.elements.reduce(0, +) / 100).magnitude, 0.2)
        XCTAssertEqual(first.permutation(of: 9).sorted(), Array(0..<9))
    }

    func testGeneratorMatchesItsSource() {
        var generator = SeededGenerator(seed: 1_234_567)
        XCTAssertEqual(generator.next(), 6_457_827_717_110_365_317)
        XCTAssertEqual(generator.next(), 3_203_168_211_198_807_973)
    }

    func testComparison() {
        XCTAssertEqual(Comparison([3, 4], with: [3, 4]).relativeL2, 0)
        XCTAssertEqual(Comparison([3, 4.5], with: [3, 4]).relativeL2, 0.1, accuracy: 1e-12)
        XCTAssertEqual(Comparison([3, 4.5], with: [3, 4]).worst, 1)
        XCTAssertEqual(Comparison([0.5], with: [0]).relativeL2, 0.5)
        XCTAssertTrue(Comparison([.nan, -.infinity], with: [.nan, -.infinity]).isWithin(0))
        let mismatch = Comparison([1, .nan, .infinity, 1], with: [1, 0, -.infinity, .nan])
        XCTAssertEqual(mismatch.specialMismatches, [1, 2, 3])
        XCTAssertFalse(mismatch.isWithin(1))
        XCTAssertTrue(mismatch.explanation(bound: 1).contains("[1, 2, 3]"))
    }

    func testSelectionsAreVisible() throws {
        var generator = SeededGenerator(seed: 3)
        let selection = try generator.selection(queryTokens: 4, slots: 5, position: 2)
        for (token, set) in selection.sets.enumerated() {
            XCTAssertEqual(set.count, min(5, token + 3))
            XCTAssertEqual(Set(set).count, set.count)
            XCTAssertTrue(set.allSatisfy { Int($0) <= 2 + token })
        }
    }
}

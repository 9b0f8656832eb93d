import SparseAttention
import XCTest

@testable import SparseTraining

/// What a log tells of selections and experts.
final class SelectionAgreementTests: XCTestCase {
    func testTokensThatSeeNoMoreThanTheySelectDoNotCount() throws {
        let none = TokenSelection.unused
        let own = try TokenSelection(positions: [0, none, 1, 0, 2, 1, 3, 0], queryTokens: 4, slots: 2)
        let other = try TokenSelection(positions: [0, none, 0, 1, 0, 2, 3, 0], queryTokens: 4, slots: 2)
        let agreement = SelectionAgreement(of: own, with: other, positions: [0, 1, 2, 3])
        XCTAssertEqual(agreement.chosen, 4)
        XCTAssertEqual(agreement.shared, 3)
        XCTAssertEqual(agreement.share, 0.75)
        var sum = SelectionAgreement()
        XCTAssertNil(sum.share)
        sum += agreement
        sum += SelectionAgreement(of: other, with: other, positions: [0, 1, 2, 3])
        XCTAssertEqual(sum.share, 7.0 / 8)
        // Where the third begins a sequence, it sees no more than itself.
        let two = SelectionAgreement(of: own, with: other, positions: [0, 1, 0, 1])
        XCTAssertEqual(two.chosen, 0)
    }

    func testTheBusiestExpertAgainstTheMean() {
        XCTAssertNil(LoadBalancing.violation(of: [[], []]))
        XCTAssertEqual(LoadBalancing.violation(of: [[], [4, 4]]), 0)
        XCTAssertEqual(LoadBalancing.violation(of: [[6, 2], [3, 3, 3, 3], []]), 0.25)
    }
}

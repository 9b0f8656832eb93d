import Foundation
import SparseAttention
import TestSupport
import XCTest

final class IndexerDivergenceTests: XCTestCase {
    func testNothingBetweenEqualDistributions() throws {
        var generator = SeededGenerator(seed: 1)
        let scores = generator.tensor([3, 7], magnitude: 4)
        var shifted = scores
        shifted.add(Tensor(repeating: 5, shape: [3, 7]))
        let divergence = try IndexerDivergence(of: shifted, from: scores.reshaped([1, 3, 7]), over: .visible)
        for value in divergence.perQuery.elements {
            XCTAssertEqual(Double(value), 0, accuracy: Tolerances.statistic)
        }
        for row in divergence.target.rowArrays {
            XCTAssertEqual(Double(row.reduce(0, +)), 1, accuracy: Tolerances.unitSum)
        }
        XCTAssertEqual(divergence.target[5], 0)
    }

    func testKnownDivergence() throws {
        // One head attends 3 : 1, the other 1 : 1, together 5 : 3; the indexer says 1 : 1.
        let attention = try Tensor([log(3), 0, 0, 0], shape: [2, 1, 2])
        let divergence = try IndexerDivergence(
            of: Tensor([1, 1], shape: [1, 2]),
            from: attention,
            over: .visible
        )
        assertClose(divergence.target.elements, [0.625, 0.375], within: Tolerances.floor)
        let expected = 0.625 * log(0.625 / 0.5) + 0.375 * log(0.375 / 0.5)
        XCTAssertEqual(Double(divergence.perQuery[0]), expected, accuracy: Tolerances.statistic)
        XCTAssertEqual(divergence.sum, divergence.perQuery[0])
    }

    func testDomains() throws {
        // Heads attend 2 : 1 : 1 and 1 : 1 : 2; tokens 0 and 1 are selected.
        let attention = try Tensor([log(2), 0, 0, 0, 0, log(2)], shape: [2, 1, 3])
        let scores = try Tensor([0, 0, 9], shape: [1, 3])
        let selection = try TokenSelection(positions: [1, -1, 0, 7], queryTokens: 1, slots: 4)
        let selected = try IndexerDivergence(of: scores, from: attention, over: .selected(selection))
        assertClose(selected.target.elements, [7.0 / 12, 5.0 / 12, 0], within: Tolerances.floor)
        let cut = try IndexerDivergence(of: scores, from: attention, over: .renormalized(selection))
        assertClose(cut.target.elements, [0.6, 0.4, 0], within: Tolerances.floor)
        XCTAssertEqual(
            Double(cut.perQuery[0]),
            0.6 * log(0.6 / 0.5) + 0.4 * log(0.4 / 0.5),
            accuracy: Tolerances.statistic
        )
    }

    func testSelectingEverythingIsVisible() throws {
        var generator = SeededGenerator(seed: 2)
        let (scores, attention) = (
            generator.tensor([4, 9], magnitude: 3), generator.tensor([3, 4, 9], magnitude: 3)
        )
        let visible = try IndexerDivergence(of: scores, from: attention, over: .visible)
        XCTAssertTrue(visible.perQuery.elements.allSatisfy { $0 > 0 })
        let everything = TokenSelection.everything(queryTokens: 4, position: 5)
        for domain in [IndexerDivergence.Domain.selected(everything), .renormalized(everything)] {
            let found = try IndexerDivergence(of: scores, from: attention, over: domain)
            assertClose(found.target, visible.target, within: Tolerances.floor)
            assertClose(found.perQuery, visible.perQuery, within: Tolerances.floor)
        }
    }

    func testHiddenEntriesAreNotRead() throws {
        var generator = SeededGenerator(seed: 3)
        var (scores, attention) = (generator.tensor([2, 3]), generator.tensor([1, 2, 3]))
        let clean = try IndexerDivergence(of: scores, from: attention, over: .visible)
        (scores[2], attention[2]) = (.nan, .nan)
        let poisoned = try IndexerDivergence(of: scores, from: attention, over: .visible)
        assertSameBits(poisoned.perQuery, clean.perQuery)
        let nothing = try TokenSelection(positions: [-1, -1], queryTokens: 2, slots: 1)
        XCTAssertEqual(
            try IndexerDivergence(of: scores, from: attention, over: .selected(nothing)).perQuery.elements,
            [0, 0]
        )
    }

    func testRefusals() throws {
        func measure(_ scores: Shape, _ attention: Shape, selected: Int? = nil) throws {
            _ = try IndexerDivergence(
                of: Tensor(repeating: 1, shape: scores),
                from: Tensor(repeating: 1, shape: attention),
                over: selected.map { .selected(.everything(queryTokens: $0, position: 0)) } ?? .visible
            )
        }
        assertThrows(.dimensionMismatch(.rank, argument: "scores", expected: 2, found: 1)) {
            try measure([3], [1, 2, 3])
        }
        assertThrows(.dimensionMismatch(.rank, argument: "attentionScores", expected: 3, found: 2)) {
            try measure([2, 3], [2, 3])
        }
        assertThrows(.shapeMismatch(argument: "attentionScores", expected: [4, 2, 3], found: [4, 2, 2])) {
            try measure([2, 3], [4, 2, 2])
        }
        assertThrows(.invalidSetting(name: "queryTokens", found: "4", expected: "at most the 3 key tokens")) {
            try measure([4, 3], [1, 4, 3])
        }
        assertThrows(.dimensionMismatch(.queryTokens, argument: "selection", expected: 2, found: 3)) {
            try measure([2, 3], [1, 2, 3], selected: 3)
        }
    }
}

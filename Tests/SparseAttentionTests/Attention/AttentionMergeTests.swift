import SparseAttention
import TestSupport
import XCTest

final class AttentionMergeTests: XCTestCase {
    func testPartsOfASelectionEqualTheWhole() throws {
        for each in SelectionCase.all where each.slots > 1 {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let attention = TopKAttention(valueDim: each.valueDim)
            let whole = try attention.attend(queries, to: rows, at: selection, scale: each.scale)
            for parts in [1, 2, 3] {
                let results = try (0..<parts).map { part in
                    let range = part * each.slots / parts..<(part + 1) * each.slots / parts
                    return try attention.attend(
                        queries,
                        to: rows,
                        at: slots(range, of: selection),
                        scale: each.scale
                    )
                }
                assertSame(try .merged(results), whole, "\(each) in \(parts)")
                assertSame(try .merged(results.reversed()), whole, "\(each) in \(parts), reversed")
            }
        }
    }

    func testPartsOfTheKeysEqualTheWhole() throws {
        var generator = SeededGenerator(seed: 1)
        let queries = generator.tensor([1, 4, 8], magnitude: 4)
        let (keys, values) = (generator.tensor([100, 2, 8], magnitude: 4), generator.tensor([100, 2, 3]))
        let attention = DenseAttention()
        let whole = try attention.attend(queries, keys: keys, values: values, scale: 0.5)
        let parts = try [0..<63, 63..<64, 64..<100].map {
            try attention.attend(queries, keys: keys.slice($0), values: values.slice($0), scale: 0.5)
        }
        assertSame(try .merged(parts), whole)
        assertSame(try .merged([.merged(Array(parts[..<2])), parts[2]]), whole)
    }

    func testEmptyPartsChangeNothing() throws {
        var generator = SeededGenerator(seed: 2)
        let (queries, rows) = (generator.tensor([3, 2, 4]), generator.tensor([9, 4]))
        let attention = TopKAttention(valueDim: 3)
        let nothing = try TokenSelection(positions: [], queryTokens: 3, slots: 0)
        let empty = try attention.attend(queries, to: rows, at: nothing, scale: 1)
        let full = try attention.attend(
            queries,
            to: rows,
            at: .everything(queryTokens: 3, position: 6),
            scale: 1
        )
        assertSame(try .merged([empty, full, empty]), full)
        assertSame(try .merged([empty, empty]), empty)
    }

    func testASinglePartIsReturned() throws {
        let part = try AttentionResult(
            output: Tensor(repeating: 3, shape: [1, 1, 2]),
            logSumExp: Tensor(repeating: 1, shape: [1, 1]),
            maximumScore: Tensor(repeating: 0, shape: [1, 1])
        )
        for (a, b) in zip(try AttentionResult.merged([part]).tensors, part.tensors) { assertSameBits(a, b) }
    }

    func testWeightsFollowTheSums() throws {
        func part(_ value: Float, logSumExp: Float, maximum: Float) throws -> AttentionResult {
            try AttentionResult(
                output: Tensor(repeating: value, shape: [1, 1, 1]),
                logSumExp: Tensor(repeating: logSumExp, shape: [1, 1]),
                maximumScore: Tensor(repeating: maximum, shape: [1, 1])
            )
        }
        // Sums of 1 and 3: weights of a quarter and three quarters.
        let merged = try AttentionResult.merged([
            part(8, logSumExp: 0, maximum: -1), part(4, logSumExp: 1.098_612_3, maximum: -2),
        ])
        XCTAssertEqual(Double(merged.output[0]), 5, accuracy: Tolerances.statistic)
        XCTAssertEqual(Double(merged.logSumExp[0]), 1.386_294_36, accuracy: Tolerances.statistic)
        XCTAssertEqual(merged.maximumScore[0], -1)
        let far = try AttentionResult.merged([
            part(8, logSumExp: 500, maximum: 0), part(4, logSumExp: -500, maximum: 0),
        ])
        XCTAssertEqual([far.output[0], far.logSumExp[0]], [8, 500])
        let broken = try AttentionResult.merged([
            part(.nan, logSumExp: .nan, maximum: .nan), part(4, logSumExp: -.infinity, maximum: -.infinity),
        ])
        XCTAssertTrue(broken.output[0].isNaN && broken.logSumExp[0].isNaN && broken.maximumScore[0].isNaN)
    }

    private func slots(_ range: Range<Int>, of selection: TokenSelection) throws -> TokenSelection {
        try TokenSelection(
            positions: (0..<selection.queryTokens).flatMap { token in
                let row = selection[token]
                return row[row.startIndex + range.lowerBound..<row.startIndex + range.upperBound]
            },
            queryTokens: selection.queryTokens,
            slots: range.count
        )
    }
}

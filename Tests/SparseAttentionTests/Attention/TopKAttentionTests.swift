import SparseAttention
import TestSupport
import XCTest

final class TopKAttentionTests: XCTestCase {
    func testMatchesTheReference() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let attention = TopKAttention(valueDim: each.valueDim)
            let result = try attention.attend(queries, to: rows, at: selection, scale: each.scale)
            XCTAssertEqual(
                result.output.shape,
                Shape(trusted: [each.queryTokens, each.heads, each.valueDim])
            )
            let latents = try rows.reshaped(Shape([each.keyTokens, 1, each.rowDim]))
            assertAccurate(
                result,
                plain: PlainLoops.attention(
                    queries,
                    keys: latents,
                    values: latents,
                    valueDim: each.valueDim,
                    scale: each.scale,
                    selection: selection
                ),
                reference: try attention.reference(queries, to: rows, at: selection, scale: each.scale),
                "\(each)"
            )
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            try assertSameForAnyWorkers("\(each)") { workers in
                try TopKAttention(valueDim: each.valueDim, workers: workers)
                    .attend(queries, to: rows, at: selection, scale: each.scale).tensors
            }
        }
    }

    func testSelectingEverythingIsDenseAttention() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let latents = try rows.reshaped(Shape([each.keyTokens, 1, each.rowDim]))
            let dense = try DenseAttention().attend(
                queries,
                keys: latents,
                values: rows.columns(0..<each.valueDim).reshaped(Shape([each.keyTokens, 1, each.valueDim])),
                scale: each.scale
            )
            let position = each.keyTokens - each.queryTokens
            let sparse = try TopKAttention(valueDim: each.valueDim).attend(
                queries,
                to: rows,
                at: .everything(queryTokens: each.queryTokens, position: position),
                scale: each.scale
            )
            assertSame(sparse, dense, "\(each)")
        }
    }

    func testOrderOfSlotsDoesNotMatter() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let unused = [Int32](repeating: TokenSelection.unused, count: each.slots)
            let ordered = try TokenSelection(
                positions: selection.sets.flatMap { ($0 + unused).prefix(each.slots) },
                queryTokens: each.queryTokens,
                slots: each.slots
            )
            let attention = TopKAttention(valueDim: each.valueDim)
            assertSame(
                try attention.attend(queries, to: rows, at: selection, scale: each.scale),
                try attention.attend(queries, to: rows, at: ordered, scale: each.scale),
                "\(each)"
            )
        }
    }

    func testUnselectedRowsAreNeverRead() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let unselected = Set(0..<each.keyTokens).subtracting(selection.positions.map(Int.init))
            let attention = TopKAttention(valueDim: each.valueDim)
            let (clean, poisoned) = (
                try attention.attend(queries, to: rows, at: selection, scale: each.scale),
                try attention.attend(
                    queries,
                    to: rows.settingRows(unselected, to: .nan),
                    at: selection,
                    scale: each.scale
                )
            )
            for (a, b) in zip(poisoned.tensors, clean.tensors) { assertSameBits(a, b, "\(each)") }
            assertFinite(poisoned.output, "\(each)")
        }
    }

    func testPrefillEqualsDecoding() throws {
        for each in SelectionCase.all where each.queryTokens > 1 {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let attention = TopKAttention(valueDim: each.valueDim)
            let whole = try attention.attend(queries, to: rows, at: selection, scale: each.scale)
            for token in 0..<each.queryTokens {
                let decoded = try attention.attend(
                    queries.slice(token..<token + 1),
                    to: rows.slice(0..<each.keyTokens - each.queryTokens + token + 1),
                    at: TokenSelection(positions: Array(selection[token]), queryTokens: 1, slots: each.slots),
                    scale: each.scale
                )
                assertSame(decoded, try whole.slice(token..<token + 1), "\(each) token \(token)")
            }
        }
    }
}

// MARK: - Slots

extension TopKAttentionTests {
    func testOddSlotsCountAsEmpty() throws {
        var generator = SeededGenerator(seed: 1)
        let (queries, rows) = (generator.tensor([2, 2, 3]), generator.tensor([5, 3]))
        let odd = try TokenSelection(
            positions: [-1, 4, 5, -7, 0, .max, .min, -1, 5, 6, .max, .min, -1, 100],
            queryTokens: 2,
            slots: 7
        )
        let plain = try TokenSelection(positions: [0, 4, -1, -1], queryTokens: 2, slots: 2)
        let attention = TopKAttention(valueDim: 2)
        let result = try attention.attend(queries, to: rows, at: odd, scale: 1)
        assertSame(result, try attention.attend(queries, to: rows, at: plain, scale: 1))
        assertSeesNothing(try result.slice(1..<2))
    }

    func testAPositionTwiceCountsTwice() throws {
        let queries = Tensor(repeating: 0, shape: [1, 1, 1])
        let rows = try Tensor([3, 9], shape: [2, 1])
        let selection = try TokenSelection(positions: [0, 1, 0], queryTokens: 1, slots: 3)
        let attention = TopKAttention(valueDim: 1)
        let result = try attention.attend(queries, to: rows, at: selection, scale: 1)
        XCTAssertEqual(result.output[0], 5, accuracy: 1e-6)
        assertSame(result, try attention.reference(queries, to: rows, at: selection, scale: 1))
    }

    func testNoRowsAtAll() throws {
        let queries = Tensor(repeating: 1, shape: [2, 2, 3])
        for slots in [0, 4] {
            let selection = try TokenSelection(
                positions: [Int32](repeating: 0, count: 2 * slots),
                queryTokens: 2,
                slots: slots
            )
            let rows = Tensor(repeating: 1, shape: [0, 3])
            assertSeesNothing(
                try TopKAttention(valueDim: 3).attend(queries, to: rows, at: selection, scale: 1)
            )
        }
    }

    func testNaNInASelectedRowShows() throws {
        let queries = Tensor(repeating: 1, shape: [1, 1, 2])
        let rows = Tensor(repeating: 1, shape: [600, 2])
        for broken in [0, 300, 599] {
            let result = try TopKAttention(valueDim: 1).attend(
                queries,
                to: rows.settingRows([broken], to: .nan),
                at: .everything(queryTokens: 1, position: 599),
                scale: 1
            )
            XCTAssertTrue(result.output[0].isNaN && result.logSumExp[0].isNaN, "\(broken)")
        }
        let alone = try TokenSelection(positions: [7], queryTokens: 1, slots: 1)
        let result = try TopKAttention(valueDim: 1).attend(
            queries,
            to: rows.settingRows([7], to: .nan),
            at: alone,
            scale: 1
        )
        XCTAssertTrue(result.output[0].isNaN && result.logSumExp[0].isNaN)
    }

    func testCachesGiveTheirRows() throws {
        for each in SelectionCase.all where each.rowDim > 1 {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let attention = TopKAttention(valueDim: each.valueDim)
            for format in [CacheFormat.float32, .bfloat16] {
                let stored = format == .float32 ? rows : rows.roundedToBFloat16()
                let split = each.rowDim - 1
                var cache = try LatentCache(capacity: 1_000, latentDim: split, ropeDim: 1, format: format)
                try cache.append(
                    latents: rows.columns(0..<split),
                    ropeKeys: rows.columns(split..<each.rowDim)
                )
                let cached = try attention.attend(queries, to: cache, at: selection, scale: each.scale)
                let expected = try attention.attend(queries, to: stored, at: selection, scale: each.scale)
                for (a, b) in zip(cached.tensors, expected.tensors) {
                    assertSameBits(a, b, "\(format) \(each)")
                }
            }
        }
    }

    private func assertSeesNothing(
        _ result: AttentionResult,
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        XCTAssertTrue(result.output.elements.allSatisfy { $0 == 0 }, file: file, line: line)
        let statistics = result.logSumExp.elements + result.maximumScore.elements
        XCTAssertTrue(statistics.allSatisfy { $0 == -.infinity }, file: file, line: line)
    }
}

import SparseAttention
import TestSupport
import XCTest

/// Attention whose queries, rows and probabilities enter products as bfloat16.
final class BFloat16ProductTests: XCTestCase {
    private func sparse(_ each: SelectionCase, workers: Workers = .all) -> TopKAttention {
        TopKAttention(valueDim: each.valueDim, products: .bfloat16, workers: workers)
    }

    func testSparseMatchesTheReferenceOfRoundedArguments() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let found = try sparse(each).attend(queries, to: rows, at: selection, scale: each.scale)
            let expected = try sparse(each).reference(
                queries.roundedToBFloat16(),
                to: rows.roundedToBFloat16(),
                at: selection,
                scale: each.scale
            )
            let width = each.rowDim
            let keys = try rows.roundedToBFloat16().reshaped([each.keyTokens, 1, width])
            let magnitudes = PlainLoops.attention(
                queries.roundedToBFloat16(),
                keys: keys,
                values: keys.magnitudes,
                valueDim: each.valueDim,
                scale: each.scale,
                selection: selection
            ).output
            assertNear(found, expected, magnitudes: magnitudes, "\(each)")
        }
    }

    func testDenseStaysNearTheExactOneOfRoundedArguments() throws {
        for each in AttentionCase.all + AttentionCase.split {
            let (queries, keys, values) = each.tensors
            let found = try DenseAttention(products: .bfloat16)
                .attend(queries, keys: keys, values: values, scale: each.scale)
            let expected = try DenseAttention().attend(
                queries.roundedToBFloat16(),
                keys: keys.roundedToBFloat16(),
                values: values.roundedToBFloat16(),
                scale: each.scale
            )
            let magnitudes = try DenseAttention().attend(
                queries.roundedToBFloat16(),
                keys: keys.roundedToBFloat16(),
                values: values.roundedToBFloat16().magnitudes,
                scale: each.scale
            )
            assertNear(found, expected, magnitudes: magnitudes.output.elements, "\(each)")
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            try assertSameForAnyWorkers("\(each)") { workers in
                try sparse(each, workers: workers)
                    .attend(queries, to: rows, at: selection, scale: each.scale).tensors
            }
        }
        for each in AttentionCase.all + AttentionCase.split {
            let (queries, keys, values) = each.tensors
            try assertSameForAnyWorkers("\(each)") { workers in
                try DenseAttention(products: .bfloat16, workers: workers)
                    .attend(queries, keys: keys, values: values, scale: each.scale).tensors
            }
        }
    }

    func testEqualScoresGiveTheMean() throws {
        // Every probability is 1 before its division: nothing is rounded, in one part or in several.
        for slots in [1, 2, 64, 511, 513, 1_024] {
            let rows = try Tensor((0..<slots).map { Float($0 % 8) }, shape: [slots, 1])
            let result = try TopKAttention(valueDim: 1, products: .bfloat16).attend(
                Tensor(repeating: 0, shape: [1, 3, 1]),
                to: rows,
                at: .everything(queryTokens: 1, position: slots - 1),
                scale: 1
            )
            let mean = rows.elements.reduce(0, +) / Float(slots)
            for head in 0..<3 {
                XCTAssertEqual(result.output[head], mean, accuracy: mean * 0x1p-22, "\(slots)")
            }
        }
    }

    func testUnselectedRowsAreNeverRead() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let unselected = Set(0..<each.keyTokens).subtracting(selection.positions.map(Int.init))
            let clean = try sparse(each).attend(queries, to: rows, at: selection, scale: each.scale)
            let poisoned = try sparse(each).attend(
                queries,
                to: rows.settingRows(unselected, to: .nan),
                at: selection,
                scale: each.scale
            )
            for (a, b) in zip(poisoned.tensors, clean.tensors) { assertSameBits(a, b, "\(each)") }
            assertFinite(poisoned.output, "\(each)")
        }
    }

    func testNaNInASelectedRowShows() throws {
        let rows = Tensor(repeating: 1, shape: [600, 2])
        for broken in [0, 300, 599] {
            let result = try TopKAttention(valueDim: 1, products: .bfloat16).attend(
                Tensor(repeating: 1, shape: [1, 1, 2]),
                to: rows.settingRows([broken], to: .nan),
                at: .everything(queryTokens: 1, position: 599),
                scale: 1
            )
            XCTAssertTrue(result.output[0].isNaN && result.logSumExp[0].isNaN, "\(broken)")
        }
    }

    func testNothingSelectedGivesZeros() throws {
        for slots in [0, 4] {
            let selection = try TokenSelection(
                positions: [Int32](repeating: TokenSelection.unused, count: 2 * slots),
                queryTokens: 2,
                slots: slots
            )
            let result = try TopKAttention(valueDim: 3, products: .bfloat16).attend(
                Tensor(repeating: 1, shape: [2, 2, 3]),
                to: Tensor(repeating: 1, shape: [7, 3]),
                at: selection,
                scale: 1
            )
            XCTAssertTrue(result.output.elements.allSatisfy { $0 == 0 })
            let statistics = result.logSumExp.elements + result.maximumScore.elements
            XCTAssertTrue(statistics.allSatisfy { $0 == -.infinity })
        }
    }

    func testANaNIsHiddenFromEarlierTokens() throws {
        var generator = SeededGenerator(seed: 3)
        let (queries, keys) = (generator.tensor([3, 2, 4]), generator.tensor([9, 2, 4]))
        let attention = DenseAttention(products: .bfloat16)
        let clean = try attention.attend(queries, keys: keys, values: keys, scale: 1)
        let broken = keys.settingRows(16..<18, to: .nan)
        let found = try attention.attend(queries, keys: broken, values: broken, scale: 1)
        // The sums that step over a hidden NaN run in another order.
        assertClose(
            try found.output.slice(0..<2),
            try clean.output.slice(0..<2),
            within: Tolerances.sameAttention
        )
        XCTAssertTrue(try found.output.slice(2..<3).elements.allSatisfy(\.isNaN))
    }

    func testEveryCacheGivesItsRows() throws {
        var generator = SeededGenerator(seed: 4)
        let (latents, ropeKeys) = (generator.tensor([150, 130]), generator.tensor([150, 7]))
        let queries = generator.tensor([2, 5, 137])
        let selection = try generator.selection(queryTokens: 2, slots: 140, position: 148)
        for format in CacheFormat.allCases {
            var cache = try LatentCache(capacity: 200, latentDim: 130, ropeDim: 7, format: format)
            try cache.append(latents: latents, ropeKeys: ropeKeys)
            let rows = cache.withRows { $0.widened() }
            let attention = TopKAttention(valueDim: 130, products: .bfloat16)
            let cached = try attention.attend(queries, to: cache, at: selection, scale: 0.1)
            let expected = try attention.attend(queries, to: rows, at: selection, scale: 0.1)
            for (a, b) in zip(cached.tensors, expected.tensors) { assertSameBits(a, b, "\(format)") }
        }
    }

    private func assertNear(
        _ found: AttentionResult,
        _ expected: AttentionResult,
        magnitudes: [Float],
        _ message: String,
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        let (a, b) = (found.output.elements, expected.output.elements)
        XCTAssertEqual(a.count, b.count, message, file: file, line: line)
        for index in a.indices where a.count == b.count {
            let bound = Tolerances.roundedProbabilities * magnitudes[index]
            XCTAssertEqual(a[index], b[index], accuracy: bound, "\(index) \(message)", file: file, line: line)
        }
        for (a, b) in [
            (found.logSumExp, expected.logSumExp), (found.maximumScore, expected.maximumScore),
        ] {
            assertClose(a, b, within: Tolerances.sameAttention, message, file: file, line: line)
        }
    }
}

extension Tensor {
    /// The absolute value of each element.
    fileprivate var magnitudes: Tensor {
        var copy = self
        copy.withMutableElements { elements in
            for index in elements.indices {
                elements[index] = elements[index].magnitude
            }
        }
        return copy
    }
}

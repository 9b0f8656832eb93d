import SparseAttention
import TestSupport
import XCTest

final class DenseAttentionTests: XCTestCase {
    func testMatchesTheReference() throws {
        for each in AttentionCase.all + AttentionCase.split {
            let (queries, keys, values) = each.tensors
            let result = try DenseAttention().attend(queries, keys: keys, values: values, scale: each.scale)
            let expected = try DenseAttention.reference(
                queries,
                keys: keys,
                values: values,
                scale: each.scale
            )
            let plain = PlainLoops.attention(
                queries,
                keys: keys,
                values: values,
                valueDim: each.valueDim,
                scale: each.scale
            )
            XCTAssertEqual(
                result.output.shape,
                Shape(trusted: [each.queryTokens, each.heads, each.valueDim])
            )
            assertAccurate(result, plain: plain, reference: expected, "\(each)")
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in AttentionCase.all + AttentionCase.split {
            let (queries, keys, values) = each.tensors
            try assertSameForAnyWorkers("\(each)") { workers in
                try DenseAttention(workers: workers)
                    .attend(queries, keys: keys, values: values, scale: each.scale).tensors
            }
        }
    }

    func testWeightsSumToOne() throws {
        for each in AttentionCase.all {
            let (queries, keys, values) = each.tensors
            let ones = Tensor(repeating: 1, shape: values.shape)
            let result = try DenseAttention().attend(queries, keys: keys, values: ones, scale: each.scale)
            for value in result.output.elements {
                XCTAssertEqual(Double(value), 1, accuracy: Tolerances.unitSum, "\(each)")
            }
        }
    }

    func testPrefillEqualsDecoding() throws {
        for each in AttentionCase.all where each.queryTokens > 1 {
            let (queries, keys, values) = each.tensors
            let whole = try DenseAttention().attend(queries, keys: keys, values: values, scale: each.scale)
            for token in 0..<each.queryTokens {
                let seen = each.keyTokens - each.queryTokens + token + 1
                let decoded = try DenseAttention().attend(
                    queries.slice(token..<token + 1),
                    keys: keys.slice(0..<seen),
                    values: values.slice(0..<seen),
                    scale: each.scale
                )
                assertSame(decoded, try whole.slice(token..<token + 1), "\(each) token \(token)")
            }
        }
    }

    func testLaterTokensChangeNothing() throws {
        for each in AttentionCase.all where each.queryTokens > 1 {
            let (queries, keys, values) = each.tensors
            let whole = try DenseAttention().attend(queries, keys: keys, values: values, scale: each.scale)
            let last = (each.keyTokens - 1) * each.keyHeads..<each.keyTokens * each.keyHeads
            for broken: Float in [.nan, .infinity, 1e30] {
                let found = try DenseAttention().attend(
                    queries,
                    keys: keys.settingRows(last, to: broken),
                    values: values.settingRows(last, to: broken),
                    scale: each.scale
                )
                let earlier = 0..<each.queryTokens - 1
                assertSame(try found.slice(earlier), try whole.slice(earlier), "\(each) \(broken)")
            }
        }
    }

    func testNaNInAVisibleKeyShows() throws {
        for keyTokens in [1, 300, 1_100] {
            let keys = Tensor(repeating: .nan, shape: Shape(trusted: [keyTokens, 1, 2]))
            let ones = Tensor(repeating: 1, shape: keys.shape)
            let queries = Tensor(repeating: 1, shape: [1, 1, 2])
            let result = try DenseAttention().attend(queries, keys: keys, values: ones, scale: 1)
            XCTAssertTrue(result.output.elements.allSatisfy(\.isNaN), "\(keyTokens)")
            XCTAssertTrue(result.logSumExp[0].isNaN, "\(keyTokens)")
            let last = try DenseAttention().attend(
                queries,
                keys: ones.settingRows([keyTokens - 1], to: .nan),
                values: ones,
                scale: 1
            )
            XCTAssertTrue(last.output.elements.allSatisfy(\.isNaN), "\(keyTokens)")
        }
    }

    func testKeyHeadsServeTheirGroups() throws {
        var generator = SeededGenerator(seed: 1)
        let queries = generator.tensor([2, 6, 4])
        let (keys, values) = (generator.tensor([9, 2, 4]), generator.tensor([9, 2, 3]))
        let grouped = try DenseAttention().attend(queries, keys: keys, values: values, scale: 0.5)
        let perHead = try DenseAttention().attend(
            queries,
            keys: repeatingHeads(keys, 3),
            values: repeatingHeads(values, 3),
            scale: 0.5
        )
        assertSame(grouped, perHead)
    }

    func testHugeScoresDoNotOverflow() throws {
        let queries = Tensor(repeating: 1e10, shape: [1, 1, 1])
        let result = try DenseAttention().attend(
            queries,
            keys: Tensor([1e10, -1e10, 1e10], shape: [3, 1, 1]),
            values: Tensor([1, 5, 3], shape: [3, 1, 1]),
            scale: 1
        )
        XCTAssertEqual(result.output.elements, [2])
        XCTAssertEqual(result.maximumScore.elements, [1e20])
    }

    private func repeatingHeads(_ tensor: Tensor, _ count: Int) throws -> Tensor {
        let (tokens, heads, width) = (tensor.shape[0], tensor.shape[1], tensor.shape[2])
        let rows = (0..<tokens * heads).flatMap { [Int](repeating: $0, count: count) }
        return try tensor.gathered(rows).reshaped(Shape([tokens, heads * count, width]))
    }
}

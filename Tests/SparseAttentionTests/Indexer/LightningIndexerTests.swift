import SparseAttention
import TestSupport
import XCTest

final class LightningIndexerTests: XCTestCase {
    func testScoresMatchTheReference() throws {
        for each in IndexerCase.all {
            let (queries, weights, keys) = each.tensors
            let indexer = try each.indexer()
            let scores = try indexer.scores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            XCTAssertEqual(scores.shape, Shape(trusted: [each.queryTokens, each.keyTokens]))
            let reference = try indexer.referenceScores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            assertAccurate(
                scores,
                plain: plainScores(each, queries, weights, keys),
                reference: reference.elements.map(Double.init),
                "\(each)"
            )
        }
    }

    func testScoresInBFloat16AreThoseOfRoundedFactors() throws {
        for each in IndexerCase.all {
            let (queries, weights, keys) = each.tensors
            let indexer = try each.indexer(precision: .bfloat16)
            let found = try indexer.scores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            try assertScores(found, each, keys.rounded(to: .bfloat16), "\(each)")
            for format in [CacheFormat.bfloat16, .float8] where each.keyTokens > 0 {
                var cache = try IndexKeyCache(
                    capacity: each.keyTokens,
                    indexHeadDim: each.headDim,
                    encoding: .plain(format)
                )
                try cache.append(keys)
                let found = try indexer.scores(
                    queries: queries,
                    weights: weights,
                    keys: cache,
                    from: each.position
                )
                try assertScores(found, each, cache.withRows { $0.widened() }, "\(format) \(each)")
            }
        }
    }

    /// Compares scores of the case's queries, rounded to bfloat16, and other keys with their definition.
    private func assertScores(_ scores: Tensor, _ each: IndexerCase, _ keys: Tensor, _ context: String) throws
    {
        let (queries, weights, _) = each.tensors
        let rounded = queries.rounded(to: .bfloat16)
        let reference = try each.indexer().referenceScores(
            queries: rounded,
            weights: weights,
            keys: keys,
            from: each.position
        )
        assertAccurate(
            scores,
            plain: plainScores(each, rounded, weights, keys),
            reference: reference.elements.map(Double.init),
            context
        )
    }

    func testSelectionFollowsTheContract() throws {
        for each in IndexerCase.exact {
            let (queries, weights, keys) = each.exactTensors
            let indexer = try each.indexer()
            let scores = try indexer.referenceScores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            let selection = try indexer.select(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            XCTAssertEqual(selection.queryTokens, each.queryTokens)
            XCTAssertEqual(selection.slots, min(each.topK, each.keyTokens))
            for (token, row) in scores.rowArrays.enumerated() {
                let expected = indexer.topK.reference(Array(row[...(each.position + token)]))
                let unused = [Int32](
                    repeating: TokenSelection.unused,
                    count: selection.slots - expected.count
                )
                XCTAssertEqual(Array(selection[token]), expected + unused, "\(each) token \(token)")
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in IndexerCase.all {
            let (queries, weights, keys) = each.tensors
            try assertSameForAnyWorkers("\(each)") { workers in
                let indexer = try each.indexer(workers: workers)
                let selection = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                return [
                    try indexer.scores(queries: queries, weights: weights, keys: keys, from: each.position),
                    try Tensor(selection.positions.map(Float.init), shape: [selection.positions.count]),
                ]
            }
        }
    }

    func testPrefillEqualsDecoding() throws {
        for each in IndexerCase.exact where each.queryTokens > 1 {
            let (queries, weights, keys) = each.exactTensors
            let indexer = try each.indexer()
            let whole = try indexer.select(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            for token in 0..<each.queryTokens {
                let decoded = try indexer.select(
                    queries: queries.slice(token..<token + 1),
                    weights: weights.slice(token..<token + 1),
                    keys: keys.slice(0..<each.position + token + 1),
                    from: each.position + token
                )
                XCTAssertEqual(decoded.sets, [whole.sets[token]], "\(each) token \(token)")
            }
        }
    }

    func testLaterTokensChangeNothing() throws {
        for each in IndexerCase.exact where each.queryTokens > 1 {
            let (queries, weights, keys) = each.exactTensors
            let indexer = try each.indexer()
            let whole = try indexer.select(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            let scores = try indexer.scores(
                queries: queries,
                weights: weights,
                keys: keys,
                from: each.position
            )
            for broken: Float in [.nan, 1e6] {
                let poisoned = keys.settingRows([each.keyTokens - 1], to: broken)
                let found = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: poisoned,
                    from: each.position
                )
                XCTAssertEqual(found.sets.dropLast(), whole.sets.dropLast(), "\(each) \(broken)")
                let all = try indexer.scores(
                    queries: queries,
                    weights: weights,
                    keys: poisoned,
                    from: each.position
                )
                let earlier = 0..<each.queryTokens - 1
                assertSameBits(try all.slice(earlier), try scores.slice(earlier), "\(each) \(broken)")
            }
        }
    }

    func testAnIncompleteSequenceMayBeLonger() throws {
        let each = IndexerCase.exact[4]
        let (queries, weights, keys) = each.exactTensors
        let indexer = try each.indexer()
        let (first, firstWeights) = (try queries.slice(0..<1), try weights.slice(0..<1))
        let short = try indexer.select(queries: first, weights: firstWeights, keys: keys, from: 100)
        let seen = try keys.slice(0..<101)
        XCTAssertEqual(
            short,
            try indexer.select(queries: first, weights: firstWeights, keys: seen, from: 100)
        )
        XCTAssertEqual(short.slots, each.topK)
    }

    func testBrokenScoresAreNeverSelected() throws {
        let indexer = try LightningIndexer(heads: 1, headDim: 1, topK: 3)
        let selection = try indexer.select(
            queries: Tensor(repeating: 1, shape: [1, 1, 1]),
            weights: Tensor(repeating: 1, shape: [1, 1]),
            keys: Tensor([1, .nan, 2, .nan, 0.5, 3], shape: [6, 1]),
            from: 5
        )
        XCTAssertEqual(selection.sets, [[0, 2, 5]])
    }

    func testCachesGiveTheirKeys() throws {
        for each in IndexerCase.exact {
            let (queries, weights, keys) = each.exactTensors
            for format in [CacheFormat.float32, .bfloat16] {
                var cache = try IndexKeyCache(capacity: 2300, indexHeadDim: each.headDim, format: format)
                try cache.append(keys)
                for precision in [LightningIndexer.Precision.float32, .bfloat16, .float8(.powerOfTwo)] {
                    let indexer = try each.indexer(precision: precision)
                    XCTAssertEqual(
                        try indexer.select(
                            queries: queries,
                            weights: weights,
                            keys: cache,
                            from: each.position
                        ),
                        try indexer.select(
                            queries: queries,
                            weights: weights,
                            keys: keys,
                            from: each.position
                        ),
                        "\(format) \(each)"
                    )
                }
            }
        }
    }

    /// The scores by plain loops, `[queryTokens · keyTokens]`; −infinity where hidden.
    private func plainScores(_ each: IndexerCase, _ queries: Tensor, _ weights: Tensor, _ keys: Tensor)
        -> [Float]
    {
        let (q, k, w) = (queries.elements, keys.elements, weights.elements)
        let factor = 1 / Float(each.heads * each.headDim).squareRoot()
        return (0..<each.queryTokens * each.keyTokens).map { index in
            let (token, key) = (index / each.keyTokens, index % each.keyTokens)
            guard key <= each.position + token else { return -.infinity }
            var score: Float = 0
            for head in 0..<each.heads {
                let row = token * each.heads + head
                let logit = PlainLoops.dot(
                    q[row * each.headDim..<(row + 1) * each.headDim],
                    k[key * each.headDim..<(key + 1) * each.headDim]
                )
                score += w[row] * max(logit, 0)
            }
            return score * factor
        }
    }
}

// MARK: - Refusals

extension LightningIndexerTests {
    func testRefusesSettings() {
        func make(heads: Int = 1, headDim: Int = 64, topK: Int = 1, _ precision: LightningIndexer.Precision)
            throws
        {
            _ = try LightningIndexer(heads: heads, headDim: headDim, topK: topK, precision: precision)
        }
        assertThrows(.invalidSetting(name: "index heads", found: "0", expected: "at least 1")) {
            try make(heads: 0, .float32)
        }
        assertThrows(.invalidSetting(name: "index head dim", found: "-1", expected: "at least 1")) {
            try make(headDim: -1, .float32)
        }
        assertThrows(.invalidSetting(name: "topK", found: "0", expected: "at least 1")) {
            try make(topK: 0, .float32)
        }
        for headDim in [3, 96, 256] {
            assertThrows(
                .invalidSetting(
                    name: "index head dim",
                    found: "\(headDim)",
                    expected: "a power of two of at most 128 for FP8 scores"
                )
            ) { try make(headDim: headDim, .float8(.float32)) }
        }
    }

    func testRefusesArguments() throws {
        let indexer = try LightningIndexer(heads: 2, headDim: 4, topK: 3)
        func select(_ queries: Shape, _ weights: Shape, _ keys: Shape, from position: Int) throws {
            let (q, w) = (Tensor(repeating: 1, shape: queries), Tensor(repeating: 1, shape: weights))
            let k = Tensor(repeating: 1, shape: keys)
            _ = try indexer.select(queries: q, weights: w, keys: k, from: position)
        }
        for shape: Shape in [[1, 3, 4], [1, 2, 5], [1, 8], [1, 2, 4, 1]] {
            assertThrows(.shapeMismatch(argument: "queries", expected: [1, 2, 4], found: shape)) {
                try select(shape, [1, 2], [5, 4], from: 4)
            }
        }
        for shape: Shape in [[2, 2], [1, 3], [2]] {
            assertThrows(.shapeMismatch(argument: "weights", expected: [1, 2], found: shape)) {
                try select([1, 2, 4], shape, [5, 4], from: 4)
            }
        }
        assertThrows(.dimensionMismatch(.indexHeadDim, argument: "keys", expected: 4, found: 3)) {
            try select([1, 2, 4], [1, 2], [5, 3], from: 4)
        }
        for position in [-1, 5] {
            assertThrows(.positionOutOfRange(position: position, allowed: 0..<5)) {
                try select([1, 2, 4], [1, 2], [5, 4], from: position)
            }
        }
        assertThrows(.positionOutOfRange(position: 0, allowed: 0..<0)) {
            try select([6, 2, 4], [6, 2], [5, 4], from: 0)
        }
    }
}

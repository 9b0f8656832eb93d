import SparseAttention
import TestSupport
import XCTest

/// Keys encoded once, when they are appended, are those that FP8 scores would encode anew.
final class RotatedKeyTests: XCTestCase {
    private let encodings: [IndexKeyEncoding] = [
        .rotatedCodes(.float32), .rotatedCodes(.powerOfTwo), .rotatedCodes(.float32, rotated: .float32),
    ]
    private let cases = IndexerCase.all.filter { $0.headDim & ($0.headDim - 1) == 0 }

    private func precision(_ encoding: IndexKeyEncoding) -> LightningIndexer.Precision {
        guard case .rotatedCodes(let format, let rotated) = encoding else { return .float32 }
        return .float8(format, rotated: rotated)
    }

    func testCachesOfCodesSelectAndScoreAsPlainKeys() throws {
        for each in cases {
            let (queries, weights, keys) = each.tensors
            for encoding in encodings {
                let indexer = try each.indexer(precision: precision(encoding))
                XCTAssertEqual(indexer.keyEncoding(for: .bfloat16), encoding)
                var cache = try IndexKeyCache(capacity: 2300, indexHeadDim: each.headDim, encoding: encoding)
                let pool = try PagedIndexKeyCache.Pool(
                    pages: 40,
                    indexHeadDim: each.headDim,
                    encoding: encoding
                )
                var paged = PagedIndexKeyCache(pool)
                // Two appends: what is encoded once must not depend on the chunk.
                for range in [0..<each.keyTokens / 3, each.keyTokens / 3..<each.keyTokens] {
                    try cache.append(keys.slice(range))
                    try paged.append(keys.slice(range))
                }
                let context = "\(encoding) \(each)"
                assertSameBits(
                    try indexer.scores(queries: queries, weights: weights, keys: cache, from: each.position),
                    try indexer.scores(queries: queries, weights: weights, keys: keys, from: each.position),
                    context
                )
                let plain = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                XCTAssertEqual(
                    try indexer.select(queries: queries, weights: weights, keys: cache, from: each.position),
                    plain,
                    context
                )
                XCTAssertEqual(
                    try indexer.select(queries: queries, weights: weights, keys: paged, from: each.position),
                    plain,
                    context
                )
            }
        }
    }

    func testARowReadsBackAsItsCodes() throws {
        var generator = SeededGenerator(seed: 2)
        let keys = generator.tensor([70, 128], magnitude: 3)
        var cache = try IndexKeyCache(capacity: 70, indexHeadDim: 128, encoding: .rotatedCodes(.float32))
        try cache.append(keys)
        XCTAssertEqual(cache.bytesPerToken, 132)
        XCTAssertEqual(cache.format, .float8)
        let codes = try QuantizedRows(
            quantizing: keys.hadamardRotated().roundedToBFloat16(),
            format: .float32
        )
        assertSameBits(cache.withRows { $0.widened() }, codes.dequantized(), "rows")
    }

    /// Scores of one query token are those it has in a chunk: split over keys or over query tokens.
    func testSplitsDoNotChangeBits() throws {
        for each in cases where each.queryTokens > 1 {
            let (queries, weights, keys) = each.tensors
            for precision in [LightningIndexer.Precision.float32, .float8(.float32)] {
                let indexer = try each.indexer(precision: precision)
                let whole = try indexer.select(
                    queries: queries,
                    weights: weights,
                    keys: keys,
                    from: each.position
                )
                for token in Set([0, each.queryTokens / 2, each.queryTokens - 1]) {
                    let alone = try indexer.select(
                        queries: queries.slice(token..<token + 1),
                        weights: weights.slice(token..<token + 1),
                        keys: keys,
                        from: each.position + token
                    )
                    XCTAssertEqual(alone.sets, [whole.sets[token]], "\(precision) \(each) token \(token)")
                }
            }
        }
    }

    func testRefusesCodesOfAnotherArithmetic() throws {
        let (queries, weights) = (
            Tensor(repeating: 1, shape: [1, 1, 4]), Tensor(repeating: 1, shape: [1, 1])
        )
        let keys = Tensor(repeating: 1, shape: [3, 4])
        for encoding in encodings {
            var cache = try IndexKeyCache(capacity: 3, indexHeadDim: 4, encoding: encoding)
            try cache.append(keys)
            let pool = try PagedIndexKeyCache.Pool(pages: 1, indexHeadDim: 4, encoding: encoding)
            var paged = PagedIndexKeyCache(pool)
            try paged.append(keys)
            for other in [LightningIndexer.Precision.float32] + encodings.map(precision) {
                guard other != precision(encoding) else { continue }
                let indexer = try LightningIndexer(heads: 1, headDim: 4, topK: 1, precision: other)
                let error = SparseAttentionError.invalidSetting(
                    name: "keys",
                    found: "\(encoding)",
                    expected: "\(indexer.keyEncoding(for: .float32))"
                )
                assertThrows(error) {
                    _ = try indexer.select(queries: queries, weights: weights, keys: cache, from: 2)
                }
                assertThrows(error) {
                    _ = try indexer.select(queries: queries, weights: weights, keys: paged, from: 2)
                }
                assertThrows(error) {
                    _ = try indexer.scores(queries: queries, weights: weights, keys: cache, from: 2)
                }
            }
        }
    }

    func testRefusesWidthsWithoutARotation() throws {
        for width in [3, 96, 256] {
            let error = SparseAttentionError.invalidSetting(
                name: "indexHeadDim",
                found: "\(width)",
                expected: "a power of two of at most 128 for rotated codes"
            )
            assertThrows(error) {
                _ = try IndexKeyCache(capacity: 1, indexHeadDim: width, encoding: .rotatedCodes(.float32))
            }
            assertThrows(error) {
                _ = try PagedIndexKeyCache.Pool(
                    pages: 1,
                    indexHeadDim: width,
                    encoding: .rotatedCodes(.float32)
                )
            }
        }
        var cache = try IndexKeyCache(capacity: 1, indexHeadDim: 2, encoding: .rotatedCodes(.float32))
        assertThrows(.nonFinite(argument: "keys", index: 1)) {
            try cache.append(Tensor([1, .nan], shape: [1, 2]))
        }
        XCTAssertEqual(cache.count, 0)
    }
}

import CDSAOracle
import SparseAttention
import TestSupport
import XCTest

final class LogitCallTests: XCTestCase {
    func testFloatLogitsAreTheIndexersScores() throws {
        // More tokens than the library holds at a time, more keys than a tile of the core; the constants of the
        // score are powers of two, so that folding them into the weights is exact.
        let (tokens, heads, dim, keys) = (70, 4, 16, 600)
        var generator = SeededGenerator(seed: 1)
        let queries = generator.tensor([tokens, heads, dim]).roundedToBFloat16()
        let rows = generator.tensor([keys, dim]).roundedToBFloat16()
        let weights = generator.tensor([tokens, heads])
        let expected = try LightningIndexer(heads: heads, headDim: dim, topK: 8).scores(
            queries: queries,
            weights: weights,
            keys: rows,
            from: keys - tokens
        )
        let folded = weights.elements.map { $0 * 0.125 }
        let start = [Int32](repeating: 0, count: tokens)
        let end = (0..<tokens).map { Int32(keys - tokens + $0 + 1) }
        func logits(_ q: UnsafeRawPointer, _ kv: UnsafeRawPointer, _ type: Int32) -> [Float] {
            var logits = [Float](repeating: poison, count: tokens * keys)
            assertAccepted(
                dsa_mqa_logits(
                    q,
                    type,
                    kv,
                    type,
                    nil,
                    folded,
                    start,
                    end,
                    Int64(tokens),
                    Int64(heads),
                    Int64(dim),
                    Int64(keys),
                    &logits
                )
            )
            return logits
        }
        assertSameBits(logits(queries.elements, rows.elements, float32), expected.elements)
        let bits = (bfloat16Bits(queries.elements), bfloat16Bits(rows.elements))
        assertSameBits(logits(bits.0, bits.1, bfloat16), expected.elements)
    }

    func testCodedLogitsMatchGoldenScoresAndTheIndexer() throws {
        let golden = try Golden.operators()
        for (name, topK) in [("main", 16), ("wide", 64)] {
            for format in ["none", "ue8m0"] {
                let group = "indexer.\(name).fp8_\(format)"
                let shape = try golden.shape(group + ".q_codes")
                let (tokens, heads, dim) = (shape[0], shape[1], shape[2])
                let (q, kv) = try (golden.bytes(group + ".q_codes"), golden.bytes(group + ".k_codes"))
                let (qScales, scales) = try (
                    golden.floats(group + ".q_scale"), golden.floats(group + ".k_scale")
                )
                let weights = try golden.tensor("indexer.\(name).weights")
                // In the core's order, for the same bits.
                let factor = 1 / Float(heads).squareRoot() * (1 / Float(dim).squareRoot())
                let folded = zip(weights.elements, qScales).map { $0 * factor * $1 }
                let start = [Int32](repeating: 0, count: tokens)
                let end = (1...Int32(tokens)).map { $0 }
                var logits = [Float](repeating: poison, count: tokens * tokens)
                assertAccepted(
                    dsa_mqa_logits(
                        q,
                        e4m3,
                        kv,
                        e4m3,
                        scales,
                        folded,
                        start,
                        end,
                        shape.first.map(Int64.init) ?? 0,
                        Int64(heads),
                        Int64(dim),
                        Int64(tokens),
                        &logits
                    )
                )
                let expected = try LightningIndexer(heads: heads, headDim: dim, topK: topK).scores(
                    queryCodes: QuantizedRows(rows: tokens * heads, columns: dim, codes: q, scales: qScales),
                    weights: weights,
                    keyCodes: QuantizedRows(rows: tokens, columns: dim, codes: kv, scales: scales),
                    from: 0
                )
                assertSameBits(logits, expected.elements, group)
                let visible = logits.map { $0 == -.infinity ? 0 : $0 }
                assertClose(visible, try golden.doubles(group + ".scores"), within: 1e-5, group)

                var chosen = [Int32](repeating: -9, count: tokens * topK)
                assertAccepted(
                    dsa_topk(logits, start, end, Int64(tokens), Int64(tokens), Int64(topK), &chosen)
                )
                XCTAssertEqual(chosen, try golden.int32s(group + ".topk"), group)
            }
        }
    }

    func testRangesHideKeys() throws {
        var call = LogitCall()
        let cut = call.run()
        assertAccepted(cut.status)
        (call.start, call.end) = ([0, 0, 0], [10, 10, 10])
        let whole = call.run()
        assertAccepted(whole.status)
        let ranges = [0..<8, 2..<9, 10..<10]
        for (row, range) in ranges.enumerated() {
            for key in 0..<10 {
                let expected = range.contains(key) ? whole.logits[row * 10 + key] : -.infinity
                XCTAssertEqual(cut.logits[row * 10 + key], expected, "row \(row), key \(key)")
            }
        }
        // The definition, in Double.
        let (q, kv) = try (XCTUnwrap(call.q), XCTUnwrap(call.kv))
        let (scales, weights) = try (XCTUnwrap(call.scales), XCTUnwrap(call.weights))
        var expected: [Double] = []
        for row in 0..<3 {
            for key in 0..<10 {
                let sum = (0..<2).reduce(0.0) { sum, head in
                    let product = (0..<8).reduce(0.0) {
                        $0 + Double(q[(row * 2 + head) * 8 + $1]) * Double(kv[key * 8 + $1])
                    }
                    return sum + Double(weights[row * 2 + head]) * max(product, 0)
                }
                expected.append(sum * Double(scales[key]))
            }
        }
        assertClose(whole.logits, expected, within: Tolerances.plainLoop)
        // A start behind the end sees nothing, as an empty range does.
        (call.start, call.end) = ([9, 5, 0], [3, 5, 0])
        XCTAssertEqual(call.run().logits, [Float](repeating: -.infinity, count: 30))
    }

    func testUnseenKeysMayHoldAnything() throws {
        var call = LogitCall()
        (call.start, call.end) = ([1, 2, 3], [9, 9, 9])
        let clean = call.run()
        for column in 0..<8 {
            call.kv?[column] = .nan
            call.kv?[9 * 8 + column] = .infinity
        }
        let dirty = call.run()
        assertAccepted(dirty.status)
        assertSameBits(dirty.logits, clean.logits)
        call.kv?[4 * 8] = .nan
        XCTAssertTrue(call.run().logits[4].isNaN, "a NaN inside the range comes out")
    }

    func testPagedLogitsAreUnpagedLogits() throws {
        let call = PagedLogitCall()
        let (status, logits) = call.run()
        assertAccepted(status)
        let (q, weights) = try (XCTUnwrap(call.q), XCTUnwrap(call.weights))
        let (cache, table) = try (XCTUnwrap(call.cache), XCTUnwrap(call.table))
        for (sequence, context) in [100, 64].enumerated() {
            var (codes, scales): ([UInt8], [Float]) = ([], [])
            for token in 0..<context {
                let page = Int(table[sequence * 2 + token / 64]) * 64 * 12
                codes += cache[page + token % 64 * 8..<page + token % 64 * 8 + 8]
                let scale = page + 64 * 8 + token % 64 * 4
                scales.append(
                    Float(bitPattern: (0..<4).reduce(0) { $0 | UInt32(cache[scale + $1]) << (8 * $1) })
                )
            }
            var expected = [Float](repeating: poison, count: 2 * context)
            assertAccepted(
                dsa_mqa_logits(
                    Array(q[sequence * 32..<sequence * 32 + 32]),
                    float32,
                    codes,
                    e4m3,
                    scales,
                    Array(weights[sequence * 4..<sequence * 4 + 4]),
                    [0, 0],
                    [Int32(context - 1), Int32(context)],
                    2,
                    2,
                    8,
                    Int64(context),
                    &expected
                )
            )
            for token in 0..<2 {
                let row = (sequence * 2 + token) * 110
                assertSameBits(
                    Array(logits[row..<row + 110]),
                    expected[token * context..<(token + 1) * context]
                        + [Float](repeating: -.infinity, count: 110 - context),
                    "sequence \(sequence), token \(token)"
                )
            }
        }
    }

    func testAContextShorterThanItsQueries() {
        var call = PagedLogitCall()
        call.contexts = [1, 0]
        let (status, logits) = call.run()
        assertAccepted(status)
        let seen = logits.enumerated().filter { $0.element != -.infinity }.map(\.offset)
        XCTAssertEqual(seen, [110], "only the last query of the first sequence sees a key")
    }

    func testNothingToDo() {
        assertAccepted(dsa_mqa_logits(nil, float32, nil, float32, nil, nil, nil, nil, 0, 1, 1, 0, nil))
        assertAccepted(
            dsa_mqa_logits([1], float32, nil, float32, nil, [1], [0], [0], 1, 1, 1, 0, nil)
        )
        assertAccepted(
            dsa_paged_mqa_logits(nil, e4m3, nil, nil, nil, nil, 0, 1, 1, 1, 0, 0, 0, nil)
        )
    }
}

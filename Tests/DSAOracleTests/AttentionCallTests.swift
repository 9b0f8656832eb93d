import CDSAOracle
import SparseAttention
import TestSupport
import XCTest

final class AttentionCallTests: XCTestCase {
    func testSparseAttentionMatchesGoldenDataAndTheSwiftModule() throws {
        let golden = try Golden.operators()
        let (q, kv) = try (golden.floats("sparse.q"), golden.floats("sparse.kv"))
        let indices = try golden.int32s("sparse.indices")
        var (out, maximum, lse) = (
            [Float](repeating: poison, count: 13 * 4 * 32), [Float](repeating: poison, count: 13 * 4),
            [Float](repeating: poison, count: 13 * 4)
        )
        let scale: Float = 0.14433756729740643
        assertAccepted(
            dsa_sparse_mla_forward(
                q,
                float32,
                kv,
                float32,
                indices,
                nil,
                13,
                60,
                4,
                48,
                16,
                scale,
                32,
                &out,
                &maximum,
                &lse
            )
        )
        assertClose(out, try golden.doubles("sparse.out"), within: Tolerances.plainLoop)
        assertClose(maximum, try golden.doubles("sparse.max_logits"), within: Tolerances.plainLoop)
        assertClose(lse, try golden.doubles("sparse.lse"), within: Tolerances.plainLoop)
        XCTAssertTrue(lse.contains(.infinity), "the golden rows hold one without valid keys")
        let expected = try TopKAttention(valueDim: 32).attend(
            Tensor(q, shape: [13, 4, 48]),
            to: Tensor(kv, shape: [60, 48]),
            at: TokenSelection(positions: indices, queryTokens: 13, slots: 16),
            scale: scale
        )
        assertSameBits(out, expected)
        assertSameBits(maximum, expected.maximumScore.elements)
        assertSameBits(lse, expected.flashLogSumExp)
    }

    func testPackedAttentionMatchesGoldenDataAndTheSwiftCache() throws {
        let golden = try Golden.operators()
        let q = try golden.floats("kv656.q")
        let indices = try golden.int32s("kv656.indices")
        for format in ["pow2", "plain"] {
            var cache = try golden.bytes("kv656.\(format).rows")
            // The rest of the page was never written: NaN in every format.
            cache += [UInt8](repeating: 0xFF, count: (64 - 24) * 656)
            var (out, maximum, lse) = (
                [Float](repeating: poison, count: 3 * 4 * 512), [Float](repeating: poison, count: 12),
                [Float](repeating: poison, count: 12)
            )
            let scale: Float = 0.07216878364870322
            let queries = ["float32": (float32, q), "bfloat16": (bfloat16, bfloat16Bits(q).paddedFloats)]
            for (name, (type, stored)) in queries {
                assertAccepted(
                    dsa_sparse_mla_packed_forward(
                        stored,
                        type,
                        cache,
                        indices,
                        nil,
                        3,
                        1,
                        4,
                        10,
                        scale,
                        &out,
                        &maximum,
                        &lse
                    )
                )
                assertClose(
                    out,
                    try golden.doubles("kv656.\(format).out"),
                    within: Tolerances.plainLoop,
                    name
                )
                assertClose(
                    maximum,
                    try golden.doubles("kv656.\(format).max_logits"),
                    within: Tolerances.plainLoop
                )
                assertClose(lse, try golden.doubles("kv656.\(format).lse"), within: Tolerances.plainLoop)
            }
            guard format == "pow2" else { continue }
            var swift = try LatentCache(capacity: 24, latentDim: 512, ropeDim: 64, format: .float8)
            try swift.append(latents: golden.tensor("kv656.latent"), ropeKeys: golden.tensor("kv656.rope"))
            let expected = try TopKAttention(valueDim: 512).attend(
                Tensor(q, shape: [3, 4, 576]),
                to: swift,
                at: TokenSelection(positions: indices, queryTokens: 3, slots: 10),
                scale: scale
            )
            assertSameBits(out, expected)
            assertSameBits(maximum, expected.maximumScore.elements)
            assertSameBits(lse, expected.flashLogSumExp)
        }
    }

    func testStoredFormatsAreWidenedExactly() throws {
        for function in [AttentionFunction.sparse, .dense] {
            var call = AttentionCall(function)
            let codes = (call.q ?? []).map { Float8E4M3($0).bitPattern }
            let rowCodes = (call.kv ?? []).map { Float8E4M3($0).bitPattern }
            call.q = codes.map { Float8E4M3(bitPattern: $0).float }
            call.kv = rowCodes.map { Float8E4M3(bitPattern: $0).float }
            let expected = call.run()
            assertAccepted(expected.status)
            // E4M3 numbers are bfloat16 numbers, too. The arrays of a call hold floats: their bits, here.
            let stored = [
                (e4m3, codes.paddedFloats, rowCodes.paddedFloats),
                (
                    bfloat16, bfloat16Bits(call.q ?? []).paddedFloats,
                    bfloat16Bits(call.kv ?? []).paddedFloats
                ),
            ]
            for (type, q, kv) in stored {
                (call.q, call.qType, call.kv, call.kvType) = (q, type, kv, type)
                let found = call.run()
                assertAccepted(found.status)
                assertSameBits(found.output, expected.output, "\(function) \(type)")
                assertSameBits(found.logSumExp, expected.logSumExp, "\(function) \(type)")
            }
        }
    }

    func testLengthsHideSlots() throws {
        var call = AttentionCall(.sparse)
        call.lengths = [2, 0]
        let cut = call.run()
        assertAccepted(cut.status)
        (call.lengths, call.indices) = (nil, [0, 5, -1, -1, 99, -7])
        let empty = call.run()
        assertSameBits(cut.output, empty.output)
        assertSameBits(cut.logSumExp, empty.logSumExp)
        XCTAssertEqual(Array(cut.output.suffix(3 * 512)), [Float](repeating: 0, count: 3 * 512))
        XCTAssertEqual(Array(cut.maximum.suffix(3)), [-.infinity, -.infinity, -.infinity])
        XCTAssertEqual(Array(cut.logSumExp.suffix(3)), [.infinity, .infinity, .infinity])
        for function in AttentionFunction.allCases {
            var call = AttentionCall(function)
            let whole = call.run()
            call.hasStatistics = false
            let bare = call.run()
            assertAccepted(bare.status)
            assertSameBits(bare.output, whole.output, "\(function) without statistics")
        }
    }

    func testDenseAttentionIsTheSwiftModules() throws {
        let call = AttentionCall(.dense)
        let found = call.run()
        assertAccepted(found.status)
        let (q, kv) = try (XCTUnwrap(call.q), XCTUnwrap(call.kv))
        let rows = try Tensor(kv, shape: [6, 576])
        let expected = try DenseAttention().attend(
            Tensor(q, shape: [2, 3, 576]),
            keys: rows.reshaped([6, 1, 576]),
            values: rows.columns(0..<512).reshaped([6, 1, 512]),
            scale: 0.1
        )
        assertSameBits(found.output, expected)
        assertSameBits(found.logSumExp, expected.logSumExp.elements)
        assertSameBits(found.maximum, expected.maximumScore.elements)
    }

    func testMultiHeadAttentionMatchesGoldenDataAndTheSwiftModule() throws {
        let golden = try Golden.operators()
        for (name, scale) in [("mha", 0.2041241452319315), ("gqa", 0.25), ("mqa", 0.15811388300841897)] {
            let (q, k, v) = try (
                golden.tensor("attention.\(name).q").outerTransposed(),
                golden.tensor("attention.\(name).k").outerTransposed(),
                golden.tensor("attention.\(name).v").outerTransposed()
            )
            let (tokens, heads, valueDim) = (q.shape[0], q.shape[1], v.shape[2])
            var (out, maximum, lse) = (
                [Float](repeating: poison, count: tokens * heads * valueDim),
                [Float](repeating: poison, count: tokens * heads),
                [Float](repeating: poison, count: tokens * heads)
            )
            assertAccepted(
                dsa_mha_forward(
                    q.elements,
                    k.elements,
                    v.elements,
                    float32,
                    Int64(tokens),
                    Int64(k.shape[0]),
                    Int64(heads),
                    Int64(k.shape[1]),
                    Int64(q.shape[2]),
                    Float(scale),
                    Int64(valueDim),
                    &out,
                    &maximum,
                    &lse
                )
            )
            let wanted = try golden.tensor("attention.\(name).out").outerTransposed()
            assertClose(out, wanted.elements.map(Double.init), within: Tolerances.plainLoop, name)
            let expected = try DenseAttention().attend(q, keys: k, values: v, scale: Float(scale))
            assertSameBits(out, expected)
            assertSameBits(lse, expected.logSumExp.elements, name)
            assertSameBits(maximum, expected.maximumScore.elements, name)
        }
    }
}

private func assertSameBits(
    _ output: [Float],
    _ expected: AttentionResult,
    file: StaticString = #filePath,
    line: UInt = #line
) {
    assertSameBits(output, expected.output.elements, "output", file: file, line: line)
}

extension AttentionResult {
    /// The log-sum-exp as FlashMLA has it.
    fileprivate var flashLogSumExp: [Float] {
        logSumExp.elements.map { $0 == -.infinity ? .infinity : $0 }
    }
}

extension Array where Element: FixedWidthInteger {
    /// The bytes of the elements as floats, the last one filled up.
    fileprivate var paddedFloats: [Float] {
        let words = (count * MemoryLayout<Element>.size + 3) / 4
        var floats = [Float](repeating: 0, count: words)
        withUnsafeBytes { source in
            floats.withUnsafeMutableBytes { $0.copyMemory(from: source) }
        }
        return floats
    }
}

extension Tensor {
    /// `[heads, tokens, dim]` as `[tokens, heads, dim]`.
    fileprivate func outerTransposed() throws -> Tensor {
        let (heads, tokens, dim) = (shape[0], shape[1], shape[2])
        let order = (0..<tokens).flatMap { token in (0..<heads).map { $0 * tokens + token } }
        return try reshaped([heads * tokens, dim]).gathered(order).reshaped([tokens, heads, dim])
    }
}

import CDSAOracle
import SparseAttention
import TestSupport
import XCTest

final class CacheCallTests: XCTestCase {
    func testPackedRowsMatchGoldenBytes() throws {
        let golden = try Golden.operators()
        let (latents, rope) = try (golden.floats("kv656.latent"), golden.floats("kv656.rope"))
        let bits = (bfloat16Bits(latents), bfloat16Bits(rope))
        for (format, name) in [(powerOfTwo, "pow2"), (plainScale, "plain")] {
            let expected = try golden.bytes("kv656.\(name).rows")
            var rows = [UInt8](repeating: 0xAA, count: 24 * Int(DSA_PACKED_ROW_BYTES))
            assertAccepted(dsa_pack_latents(latents, rope, float32, 24, format, &rows))
            XCTAssertEqual(rows, expected, name)
            rows = [UInt8](repeating: 0xAA, count: rows.count)
            assertAccepted(dsa_pack_latents(bits.0, bits.1, bfloat16, 24, format, &rows))
            XCTAssertEqual(rows, expected, name)
            var values = [Float](repeating: poison, count: 24 * 576)
            assertAccepted(dsa_unpack_latents(expected, 24, &values))
            assertSameBits(values, try golden.floats("kv656.\(name).dequantized"), name)
        }
    }

    func testIndexKeyPagesAreThoseOfTheSwiftCache() throws {
        let (tokens, dim) = (100, 128)
        var generator = SeededGenerator(seed: 6)
        let keys = generator.tensor([tokens, dim], magnitude: 3)
        let pool = try PagedIndexKeyCache.Pool(pages: 2, indexHeadDim: dim, format: .float8)
        var cache = PagedIndexKeyCache(pool)
        try cache.append(keys)
        var pages = [UInt8](repeating: 0xAA, count: 2 * 64 * 132)
        assertAccepted(dsa_pack_index_keys(keys.elements, float32, 100, 128, powerOfTwo, &pages))
        let first = pool.bytes(ofPage: cache.pageTable[0])
        let second = pool.bytes(ofPage: cache.pageTable[1])
        XCTAssertEqual(Array(pages[..<(64 * 132)]), first)
        let (codes, scales) = (
            64 * 132..<64 * 132 + 36 * 128, 64 * 132 + 64 * 128..<64 * 132 + 64 * 128 + 36 * 4
        )
        XCTAssertEqual(Array(pages[codes]), Array(second[..<(36 * 128)]))
        XCTAssertEqual(Array(pages[scales]), Array(second[64 * 128..<64 * 128 + 36 * 4]))
        XCTAssertTrue(pages[codes.upperBound..<scales.lowerBound].allSatisfy { $0 == 0 })
        XCTAssertTrue(pages[scales.upperBound...].allSatisfy { $0 == 0 })

        for (code, format) in [(powerOfTwo, ScaleFormat.powerOfTwo), (plainScale, .float32)] {
            assertAccepted(dsa_pack_index_keys(keys.elements, float32, 100, 128, code, &pages))
            var values = [Float](repeating: poison, count: tokens * dim)
            assertAccepted(dsa_unpack_index_keys(pages, 100, 128, &values))
            let expected = try QuantizedRows(quantizing: keys, format: format).dequantized()
            assertSameBits(values, expected.elements)
        }
    }

    func testRefusals() {
        let bad = Int(DSA_ERROR_ARGUMENT)
        var latents = [Float](repeating: 1, count: 512)
        var rope = [Float](repeating: 1, count: 64)
        var rows = [UInt8](repeating: 9, count: 656)
        func pack(_ latents: [Float]?, _ rope: [Float]?, _ type: Int32, _ tokens: Int64, _ format: Int32)
            -> Int32
        {
            dsa_pack_latents(latents, rope, type, tokens, format, &rows)
        }
        assertRefused(pack(nil, rope, float32, 1, powerOfTwo), bad, "dsa_pack_latents: latents is NULL")
        assertRefused(pack(latents, nil, float32, 1, powerOfTwo), bad, "dsa_pack_latents: rope is NULL")
        assertRefused(pack(latents, rope, 4, 1, powerOfTwo), bad, "dsa_pack_latents: type is 4")
        assertRefused(pack(latents, rope, float32, -1, powerOfTwo), bad, "dsa_pack_latents: tokens is -1")
        assertRefused(pack(latents, rope, float32, 1, -1), bad, "dsa_pack_latents: scale_format is -1")
        assertRefused(
            dsa_pack_latents(latents, rope, float32, 1, powerOfTwo, nil),
            bad,
            "dsa_pack_latents: rows is NULL"
        )
        rope[63] = -.infinity
        let nonFinite = Int(DSA_ERROR_NON_FINITE)
        assertRefused(
            pack(latents, rope, float32, 1, powerOfTwo),
            nonFinite,
            "dsa_pack_latents: rope holds a NaN or an infinity at element 63"
        )
        latents[7] = .nan
        assertRefused(
            pack(latents, rope, float32, 1, powerOfTwo),
            nonFinite,
            "dsa_pack_latents: latents holds a NaN or an infinity at element 7"
        )
        XCTAssertTrue(rows.allSatisfy { $0 == 9 }, "a refused call has written")

        var values = [Float](repeating: poison, count: 576)
        assertRefused(dsa_unpack_latents(nil, 1, &values), bad, "dsa_unpack_latents: rows is NULL")
        assertRefused(dsa_unpack_latents(rows, -1, &values), bad, "dsa_unpack_latents: tokens is -1")
        assertRefused(dsa_unpack_latents(rows, 1, nil), bad, "dsa_unpack_latents: values is NULL")

        var pages = [UInt8](repeating: 9, count: 64 * 12)
        var keys = [Float](repeating: 1, count: 8)
        func packKeys(_ keys: [Float]?, _ type: Int32, _ tokens: Int64, _ dim: Int64, _ format: Int32)
            -> Int32
        {
            dsa_pack_index_keys(keys, type, tokens, dim, format, &pages)
        }
        assertRefused(packKeys(nil, float32, 1, 8, plainScale), bad, "dsa_pack_index_keys: keys is NULL")
        assertRefused(packKeys(keys, 3, 1, 8, plainScale), bad, "dsa_pack_index_keys: type is 3")
        assertRefused(packKeys(keys, float32, -1, 8, plainScale), bad, "dsa_pack_index_keys: tokens is -1")
        assertRefused(packKeys(keys, float32, 1, 0, plainScale), bad, "dsa_pack_index_keys: dim is 0")
        assertRefused(packKeys(keys, float32, 1, 129, plainScale), bad, "dsa_pack_index_keys: dim is 129")
        assertRefused(packKeys(keys, float32, 1, 8, 2), bad, "dsa_pack_index_keys: scale_format is 2")
        assertRefused(
            dsa_pack_index_keys(keys, float32, 1, 8, plainScale, nil),
            bad,
            "dsa_pack_index_keys: pages is NULL"
        )
        keys[3] = .nan
        assertRefused(
            packKeys(keys, float32, 1, 8, plainScale),
            nonFinite,
            "dsa_pack_index_keys: keys holds a NaN or an infinity at element 3"
        )
        XCTAssertTrue(pages.allSatisfy { $0 == 9 }, "a refused call has written")
        assertRefused(dsa_unpack_index_keys(nil, 1, 8, &values), bad, "dsa_unpack_index_keys: pages is NULL")
        assertRefused(
            dsa_unpack_index_keys(pages, -1, 8, &values),
            bad,
            "dsa_unpack_index_keys: tokens is -1"
        )
        assertRefused(dsa_unpack_index_keys(pages, 1, 129, &values), bad, "dsa_unpack_index_keys: dim is 129")
        assertRefused(dsa_unpack_index_keys(pages, 1, 8, nil), bad, "dsa_unpack_index_keys: keys is NULL")
        XCTAssertTrue(values.allSatisfy { $0 == poison }, "a refused call has written")
        assertAccepted(dsa_pack_latents(nil, nil, float32, 0, powerOfTwo, nil))
        assertAccepted(dsa_unpack_index_keys(nil, 0, 8, nil))
    }
}

import SparseAttention
import TestSupport
import XCTest

final class PackedCacheTests: XCTestCase {
    func testBytesOfAToken() throws {
        let latents = try LatentCache(capacity: 1, latentDim: 512, ropeDim: 64, format: .float8)
        let keys = try IndexKeyCache(capacity: 1, indexHeadDim: 128, format: .float8)
        XCTAssertEqual([latents.bytesPerToken, keys.bytesPerToken], [656, 132])
        XCTAssertEqual(latents.bytesPerToken + keys.bytesPerToken, 788)
        XCTAssertEqual(latents.bytesPerToken, PackedLatentRow.byteCount)
        XCTAssertEqual(CacheFormat.float8.latentBytes(latentDim: 512, ropeDim: 64), 656)
        XCTAssertEqual(CacheFormat.float8.indexKeyBytes(indexHeadDim: 128), 132)
        XCTAssertEqual(CacheFormat.bfloat16.latentBytes(latentDim: 512, ropeDim: 64), 1_152)
        // A last block of 2 columns has a scale of its own.
        XCTAssertEqual(CacheFormat.float8.latentBytes(latentDim: 130, ropeDim: 3), 130 + 2 * 4 + 3 * 2)
        XCTAssertEqual(CacheFormat.float8.indexKeyBytes(indexHeadDim: 0), 0)
    }

    func testLatentsReadBackAsPackedRowsDo() throws {
        var generator = SeededGenerator(seed: 1)
        let (latents, ropeKeys) = (generator.tensor([67, 512], magnitude: 3), generator.tensor([67, 64]))
        var cache = try LatentCache(capacity: 70, latentDim: 512, ropeDim: 64, format: .float8)
        for range in [0..<1, 1..<64, 64..<67] {
            try cache.append(latents: latents.slice(range), ropeKeys: ropeKeys.slice(range))
        }
        let packed = try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: .powerOfTwo)
        assertSameBits(cache.withRows { $0.widened() }, try PackedLatentRow.unpack(packed))
    }

    func testRaggedRowsReadBackAsTheFirstColumnsOfPaddedOnes() throws {
        var generator = SeededGenerator(seed: 2)
        let (latents, ropeKeys) = (generator.tensor([5, 131]), generator.tensor([5, 3]))
        var cache = try LatentCache(capacity: 5, latentDim: 131, ropeDim: 3, format: .float8)
        try cache.append(latents: latents, ropeKeys: ropeKeys)
        var padded = Tensor(repeating: 0, shape: [5, 512])
        for row in 0..<5 {
            for column in 0..<131 { padded[row * 512 + column] = latents[row * 131 + column] }
        }
        let bytes = try PackedLatentRow.pack(
            latents: padded,
            ropeKeys: Tensor(repeating: 0, shape: [5, 64]),
            format: .powerOfTwo
        )
        let rows = cache.withRows { $0.widened() }
        assertSameBits(rows.columns(0..<131), try PackedLatentRow.unpack(bytes).columns(0..<131))
        assertSameBits(rows.columns(131..<134), ropeKeys.roundedToBFloat16())
    }

    func testKeysReadBackAsCodesTimesScale() throws {
        for width in [1, 5, 64, 128, 131] {
            var generator = SeededGenerator(seed: UInt64(width))
            let keys = generator.tensor(try Shape([70, width]), magnitude: 3)
            var cache = try IndexKeyCache(capacity: 100, indexHeadDim: width, format: .float8)
            for range in [0..<63, 63..<70] { try cache.append(keys.slice(range)) }
            assertSameBits(
                cache.withRows { $0.widened() },
                try keys.roundedThroughFloat8(format: .powerOfTwo),
                "\(width)"
            )
        }
    }

    func testAttentionOverPackedRowsIsAttentionOverTheirNumbers() throws {
        for each in LatentCase.all {
            let (queries, latents, ropeKeys, weight) = each.tensors
            var packed = try LatentCache(
                capacity: each.keyTokens,
                latentDim: each.sizes[1],
                ropeDim: each.sizes[2],
                format: .float8
            )
            try packed.append(latents: latents, ropeKeys: ropeKeys)
            let rows = packed.withRows { $0.widened() }
            var plain = try LatentCache(
                capacity: each.keyTokens,
                latentDim: each.sizes[1],
                ropeDim: each.sizes[2]
            )
            try plain.append(
                latents: rows.columns(0..<each.sizes[1]),
                ropeKeys: rows.columns(each.sizes[1]..<rows.shape[1])
            )
            let projection = LatentAttention.KeyValueProjection(weight)
            let attention = try each.attention()
            for form in LatentAttention.Form.allCases {
                for selection in [nil, try each.selection()] {
                    let found = try attention.attend(
                        queries,
                        to: packed,
                        through: projection,
                        at: selection,
                        form: form
                    )
                    let expected = try attention.attend(
                        queries,
                        to: plain,
                        through: projection,
                        at: selection,
                        form: form
                    )
                    assertSameBits(found.output, expected.output, "\(each) \(form)")
                    assertSameBits(found.logSumExp, expected.logSumExp, "\(each) \(form)")
                }
            }
        }
    }

    func testRefusesWhatCodesCannotHold() throws {
        var latents = try LatentCache(capacity: 2, latentDim: 3, ropeDim: 1, format: .float8)
        let (row, rope) = (Tensor(repeating: 1, shape: [1, 3]), Tensor(repeating: 1, shape: [1, 1]))
        try latents.append(latents: row, ropeKeys: rope)
        let before = latents.withRows { $0.widened() }
        for bad in [Float.nan, .infinity, -.infinity] {
            assertThrows(.nonFinite(argument: "latents", index: 0)) {
                try latents.append(latents: row.settingRows([0], to: bad), ropeKeys: rope)
            }
            assertThrows(.nonFinite(argument: "ropeKeys", index: 0)) {
                try latents.append(latents: row, ropeKeys: rope.settingRows([0], to: bad))
            }
            var keys = try IndexKeyCache(capacity: 2, indexHeadDim: 3, format: .float8)
            assertThrows(.nonFinite(argument: "keys", index: 0)) {
                try keys.append(row.settingRows([0], to: bad))
            }
            XCTAssertEqual(keys.count, 0)
        }
        assertSameBits(latents.withRows { $0.widened() }, before)
    }
}

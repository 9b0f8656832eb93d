import SparseAttention
import TestSupport
import XCTest

final class PagedCacheTests: XCTestCase {
    /// A pool whose free pages come in no particular order.
    private func pool(
        pages: Int = 8,
        latentDim: Int = 7,
        ropeDim: Int = 3,
        format: CacheFormat = .float32
    ) throws -> PagedLatentCache.Pool {
        let pool = try PagedLatentCache.Pool(
            pages: pages,
            latentDim: latentDim,
            ropeDim: ropeDim,
            format: format
        )
        var odd = PagedLatentCache(pool)
        var even = PagedLatentCache(pool)
        for page in 0..<pages {
            let (rows, ropes) = (
                Tensor(repeating: 9, shape: [64, latentDim]), Tensor(repeating: 9, shape: [64, ropeDim])
            )
            if page % 2 == 0 {
                try even.append(latents: rows, ropeKeys: ropes)
            } else {
                try odd.append(latents: rows, ropeKeys: ropes)
            }
        }
        try odd.truncate(to: 0)
        try even.truncate(to: 0)
        return pool
    }

    private func rows(_ tokens: Int, seed: UInt64 = 1, latentDim: Int = 7, ropeDim: Int = 3) throws -> (
        Tensor, Tensor
    ) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.tensor(try Shape([tokens, latentDim])), generator.tensor(try Shape([tokens, ropeDim]))
        )
    }

    private func numbers(_ cache: borrowing PagedLatentCache) -> Tensor {
        cache.withRows { $0.widened() }
    }

    func testPagedRowsAreTheUnpagedOnes() throws {
        for format in CacheFormat.allCases {
            for chunks in [
                [1], [63], [64], [65], [200], [1, 63, 64, 65], [0, 100, 0, 27, 1, 72], [64, 64],
            ] {
                let pool = try pool(format: format)
                let (latents, ropeKeys) = try rows(chunks.reduce(0, +))
                var paged = PagedLatentCache(pool)
                var plain = try LatentCache(capacity: 300, latentDim: 7, ropeDim: 3, format: format)
                var start = 0
                for chunk in chunks {
                    let range = start..<start + chunk
                    try paged.append(latents: latents.slice(range), ropeKeys: ropeKeys.slice(range))
                    try plain.append(latents: latents.slice(range), ropeKeys: ropeKeys.slice(range))
                    start += chunk
                    XCTAssertEqual([paged.count, paged.pageTable.count], [start, (start + 63) / 64])
                }
                assertSameBits(numbers(paged), plain.withRows { $0.widened() }, "\(format) \(chunks)")
                XCTAssertEqual(pool.bytesPerToken, plain.bytesPerToken)
                XCTAssertEqual(pool.freePages, pool.pages - paged.pageTable.count)
                if paged.pageTable.count > 2 {
                    XCTAssertNotEqual(paged.pageTable, paged.pageTable.sorted(), "pages are out of order")
                }
            }
        }
    }

    func testPagedKeysSelectTheSameTokens() throws {
        var generator = SeededGenerator(seed: 3)
        let (queries, weights) = (generator.tensor([9, 2, 8]), generator.tensor([9, 2]))
        let keys = generator.tensor([200, 8])
        let indexer = try LightningIndexer(heads: 2, headDim: 8, topK: 20)
        for format in CacheFormat.allCases {
            let pool = try PagedIndexKeyCache.Pool(pages: 4, indexHeadDim: 8, format: format)
            var paged = PagedIndexKeyCache(pool)
            var plain = try IndexKeyCache(capacity: 200, indexHeadDim: 8, format: format)
            for range in [0..<65, 65..<127, 127..<200] {
                try paged.append(keys.slice(range))
                try plain.append(keys.slice(range))
            }
            assertSameBits(paged.withRows { $0.widened() }, plain.withRows { $0.widened() }, "\(format)")
            XCTAssertEqual(
                try indexer.select(queries: queries, weights: weights, keys: paged, from: 191),
                try indexer.select(queries: queries, weights: weights, keys: plain, from: 191)
            )
            let fork = paged.fork()
            XCTAssertEqual(fork.pageTable, paged.pageTable)
            try paged.truncate(to: 64)
            XCTAssertEqual([paged.count, fork.count, pool.freePages], [64, 200, 0])
            assertSameBits(fork.withRows { $0.widened() }, plain.withRows { $0.widened() }, "\(format)")
        }
    }

    func testAFloat8KeyPageHoldsCodesThenScales() throws {
        let pool = try PagedIndexKeyCache.Pool(pages: 1, indexHeadDim: 128, format: .float8)
        var cache = PagedIndexKeyCache(pool)
        var generator = SeededGenerator(seed: 4)
        let keys = generator.tensor([64, 128], magnitude: 3)
        try cache.append(keys)
        let quantized = try QuantizedRows(quantizing: keys, format: .powerOfTwo)
        let bytes = pool.bytes(ofPage: cache.pageTable[0])
        XCTAssertEqual(bytes.count, 64 * 132)
        XCTAssertEqual(Array(bytes[..<(64 * 128)]), quantized.codes)
        let scales = quantized.scales.flatMap { scale in
            (0..<4).map { UInt8(truncatingIfNeeded: scale.bitPattern >> (8 * $0)) }
        }
        XCTAssertEqual(Array(bytes[(64 * 128)...]), scales)
    }

    func testAForkLeavesTheOriginalAsItIs() throws {
        for format in CacheFormat.allCases {
            let pool = try pool(format: format)
            let (latents, ropeKeys) = try rows(100)
            let (more, moreRopes) = try rows(70, seed: 2)
            var original = PagedLatentCache(pool)
            try original.append(latents: latents, ropeKeys: ropeKeys)
            let before = numbers(original)
            var fork = original.fork()
            XCTAssertEqual(fork.pageTable, original.pageTable)
            XCTAssertEqual(pool.freePages, 6, "a fork takes no page")
            try fork.append(latents: more, ropeKeys: moreRopes)
            XCTAssertEqual(fork.pageTable[0], original.pageTable[0], "a full page stays shared")
            XCTAssertNotEqual(fork.pageTable[1], original.pageTable[1])
            XCTAssertEqual(pool.freePages, 4)
            assertSameBits(numbers(original), before, "\(format)")
            assertSameBits(try numbers(fork).slice(0..<100), before, "\(format)")
            let table = original.pageTable
            try original.append(latents: more.slice(0..<1), ropeKeys: moreRopes.slice(0..<1))
            XCTAssertEqual(original.pageTable, table, "a page held alone is written in place")
            assertSameBits(numbers(original), try numbers(fork).slice(0..<101), "\(format)")
        }
    }

    func testTruncatingReleasesPages() throws {
        let pool = try pool()
        let (latents, ropeKeys) = try rows(200)
        var cache = PagedLatentCache(pool)
        try cache.append(latents: latents, ropeKeys: ropeKeys)
        var fork = cache.fork()
        for (length, free) in [(129, 4), (128, 4), (70, 4), (0, 4)] {
            try fork.truncate(to: length)
            XCTAssertEqual(pool.freePages, free, "the original still holds its pages")
        }
        try cache.truncate(to: 70)
        XCTAssertEqual(pool.freePages, 6)
        try cache.append(latents: latents.slice(70..<200), ropeKeys: ropeKeys.slice(70..<200))
        assertSameBits(numbers(cache).columns(0..<7), latents)
        assertThrows(.positionOutOfRange(position: 201, allowed: 0..<201)) { try cache.truncate(to: 201) }
        assertThrows(.positionOutOfRange(position: -1, allowed: 0..<201)) { try cache.truncate(to: -1) }
    }

    func testADroppedCacheReleasesItsPages() throws {
        let pool = try pool()
        do {
            let (latents, ropeKeys) = try rows(200)
            var cache = PagedLatentCache(pool)
            try cache.append(latents: latents, ropeKeys: ropeKeys)
            XCTAssertEqual(pool.freePages, 4)
        }
        XCTAssertEqual(pool.freePages, 8)
    }

    func testAnExhaustedPoolRefuses() throws {
        let pool = try pool(pages: 2)
        let (latents, ropeKeys) = try rows(200)
        var cache = PagedLatentCache(pool)
        try cache.append(latents: latents.slice(0..<100), ropeKeys: ropeKeys.slice(0..<100))
        let before = numbers(cache)
        assertThrows(.cacheFull(capacity: 128, requested: 129)) {
            try cache.append(latents: latents.slice(0..<29), ropeKeys: ropeKeys.slice(0..<29))
        }
        var fork = cache.fork()
        assertThrows(.cacheFull(capacity: 100, requested: 101)) {
            try fork.append(latents: latents.slice(0..<1), ropeKeys: ropeKeys.slice(0..<1))
        }
        assertSameBits(numbers(cache), before)
        assertSameBits(numbers(fork), before)
        try fork.truncate(to: 64)
        try cache.append(latents: latents.slice(100..<128), ropeKeys: ropeKeys.slice(100..<128))
        XCTAssertEqual([cache.count, pool.freePages], [128, 0])
        assertThrows(.invalidSetting(name: "pages", found: "-1", expected: "0 to \(Int(Int32.max) / 64)")) {
            _ = try PagedIndexKeyCache.Pool(pages: -1, indexHeadDim: 1)
        }
    }
}

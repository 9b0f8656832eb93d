import Foundation
import SparseAttention
import TestSupport
import XCTest

final class LatentCacheTests: XCTestCase {
    func testAppendingInChunksIsAppendingAtOnce() throws {
        for format in [CacheFormat.float32, .bfloat16] {
            var generator = SeededGenerator(seed: 1)
            let (latents, ropeKeys) = (generator.tensor([100, 7]), generator.tensor([100, 3]))
            var whole = try LatentCache(capacity: 100, latentDim: 7, ropeDim: 3, format: format)
            var chunked = try LatentCache(capacity: 128, latentDim: 7, ropeDim: 3, format: format)
            try whole.append(latents: latents, ropeKeys: ropeKeys)
            for range in [0..<1, 1..<64, 64..<64, 64..<97, 97..<100] {
                try chunked.append(latents: latents.slice(range), ropeKeys: ropeKeys.slice(range))
                XCTAssertEqual(chunked.count, range.upperBound)
            }
            let rows = whole.withRows { $0.widened() }
            assertSameBits(chunked.withRows { $0.widened() }, rows, "\(format)")
            let isRounded = format == .bfloat16
            assertSameBits(rows.columns(0..<7), isRounded ? latents.roundedToBFloat16() : latents)
            assertSameBits(rows.columns(7..<10), isRounded ? ropeKeys.roundedToBFloat16() : ropeKeys)
        }
    }

    func testTruncatingForgets() throws {
        var cache = try LatentCache(capacity: 4, latentDim: 1, ropeDim: 1)
        try cache.append(
            latents: Tensor([1, 2, 3], shape: [3, 1]),
            ropeKeys: Tensor([4, 5, 6], shape: [3, 1])
        )
        try cache.truncate(to: 1)
        XCTAssertEqual(cache.count, 1)
        try cache.append(
            latents: Tensor([7, 8, 9], shape: [3, 1]),
            ropeKeys: Tensor([10, 11, 12], shape: [3, 1])
        )
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 4, 7, 10, 8, 11, 9, 12])
        try cache.truncate(to: 4)
        try cache.truncate(to: 0)
        XCTAssertEqual(cache.count, 0)
    }

    func testTruncatingRefuses() throws {
        var cache = try LatentCache(capacity: 4, latentDim: 1, ropeDim: 0)
        try cache.append(latents: Tensor([1, 2], shape: [2, 1]), ropeKeys: Tensor([], shape: [2, 0]))
        for length in [-1, 3, 4] {
            assertThrows(.positionOutOfRange(position: length, allowed: 0..<3)) {
                try cache.truncate(to: length)
            }
        }
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 2])
    }

    func testAFullCacheStaysAsItIs() throws {
        var cache = try LatentCache(capacity: 2, latentDim: 1, ropeDim: 1)
        try cache.append(latents: Tensor([1], shape: [1, 1]), ropeKeys: Tensor([2], shape: [1, 1]))
        let more = Tensor(repeating: 9, shape: [2, 1])
        assertThrows(.cacheFull(capacity: 2, requested: 3)) {
            try cache.append(latents: more, ropeKeys: more)
        }
        XCTAssertEqual(cache.count, 1)
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 2])
        try cache.append(latents: Tensor([3], shape: [1, 1]), ropeKeys: Tensor([4], shape: [1, 1]))
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 2, 3, 4])
        var none = try LatentCache(capacity: 0, latentDim: 1, ropeDim: 1)
        let empty = Tensor(repeating: 0, shape: [0, 1])
        try none.append(latents: empty, ropeKeys: empty)
        assertThrows(.cacheFull(capacity: 0, requested: 2)) { try none.append(latents: more, ropeKeys: more) }
    }

    func testSizes() throws {
        let cache = try LatentCache(capacity: 5, latentDim: 512, ropeDim: 64, format: .bfloat16)
        XCTAssertEqual([cache.count, cache.capacity, cache.latentDim, cache.ropeDim], [0, 5, 512, 64])
        XCTAssertEqual(cache.bytesPerToken, 1_152)
        XCTAssertEqual(cache.format, .bfloat16)
        XCTAssertEqual(try LatentCache(capacity: 5, latentDim: 512, ropeDim: 64).bytesPerToken, 2_304)
    }

    func testRefusals() throws {
        for (latentDim, ropeDim) in [(0, 1), (1, -1)] {
            assertThrows(
                .invalidSetting(
                    name: "row",
                    found: "\(latentDim) + \(ropeDim)",
                    expected: "at least 1 + 0 numbers"
                )
            ) {
                _ = try LatentCache(capacity: 1, latentDim: latentDim, ropeDim: ropeDim)
            }
        }
        assertThrows(.invalidSetting(name: "capacity", found: "-1", expected: "at least 0 tokens")) {
            _ = try LatentCache(capacity: -1, latentDim: 1, ropeDim: 1)
        }
        let available = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        assertThrows(.insufficientMemory(requested: 1 << 58, available: available)) {
            _ = try LatentCache(capacity: 1 << 50, latentDim: 32, ropeDim: 32)
        }
        assertThrows(
            .invalidSetting(
                name: "shape",
                found: "[\(Int.max), 2, 4]",
                expected: "dimensions >= 0 whose product fits in \(Int.bitWidth) bits"
            )
        ) {
            _ = try LatentCache(capacity: .max, latentDim: 1, ropeDim: 1)
        }
    }

    func testRefusesOtherShapes() throws {
        var cache = try LatentCache(capacity: 4, latentDim: 3, ropeDim: 2)
        let (latents, ropeKeys) = (Tensor(repeating: 1, shape: [2, 3]), Tensor(repeating: 1, shape: [2, 2]))
        assertThrows(.shapeMismatch(argument: "latents", expected: [2, 3], found: [2, 2])) {
            try cache.append(latents: ropeKeys, ropeKeys: ropeKeys)
        }
        assertThrows(.shapeMismatch(argument: "latents", expected: [2, 3], found: [2, 1, 3])) {
            try cache.append(latents: latents.reshaped([2, 1, 3]), ropeKeys: ropeKeys)
        }
        for shape: Shape in [[1, 2], [2, 3], [4]] {
            assertThrows(.shapeMismatch(argument: "ropeKeys", expected: [2, 2], found: shape)) {
                try cache.append(latents: latents, ropeKeys: Tensor(repeating: 1, shape: shape))
            }
        }
        XCTAssertEqual(cache.count, 0)
    }
}

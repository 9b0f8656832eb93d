import SparseAttention
import TestSupport
import XCTest

final class IndexKeyCacheTests: XCTestCase {
    func testAppendingInChunksIsAppendingAtOnce() throws {
        for format in [CacheFormat.float32, .bfloat16] {
            var generator = SeededGenerator(seed: 2)
            let keys = generator.tensor([63, 5])
            var cache = try IndexKeyCache(capacity: 63, indexHeadDim: 5, format: format)
            for range in [0..<31, 31..<32, 32..<63] { try cache.append(keys.slice(range)) }
            XCTAssertEqual(cache.count, 63)
            let expected = format == .bfloat16 ? keys.roundedToBFloat16() : keys
            assertSameBits(cache.withRows { $0.widened() }, expected, "\(format)")
        }
    }

    func testTruncatingAndFilling() throws {
        var cache = try IndexKeyCache(capacity: 3, indexHeadDim: 1)
        try cache.append(Tensor([1, 2, 3], shape: [3, 1]))
        assertThrows(.cacheFull(capacity: 3, requested: 4)) { try cache.append(Tensor([4], shape: [1, 1])) }
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 2, 3])
        try cache.truncate(to: 1)
        try cache.append(Tensor([5], shape: [1, 1]))
        XCTAssertEqual(cache.withRows { $0.widened().elements }, [1, 5])
        assertThrows(.positionOutOfRange(position: 3, allowed: 0..<3)) { try cache.truncate(to: 3) }
        assertThrows(.positionOutOfRange(position: -1, allowed: 0..<3)) { try cache.truncate(to: -1) }
    }

    func testSizesAndRefusals() throws {
        var cache = try IndexKeyCache(capacity: 3, indexHeadDim: 128, format: .bfloat16)
        XCTAssertEqual([cache.capacity, cache.indexHeadDim, cache.bytesPerToken], [3, 128, 256])
        XCTAssertEqual(cache.format, .bfloat16)
        assertThrows(.shapeMismatch(argument: "keys", expected: [2, 128], found: [2, 64])) {
            try cache.append(Tensor(repeating: 0, shape: [2, 64]))
        }
        assertThrows(.shapeMismatch(argument: "keys", expected: [1, 128], found: [128])) {
            try cache.append(Tensor(repeating: 0, shape: [128]))
        }
        assertThrows(.invalidSetting(name: "indexHeadDim", found: "0", expected: "at least 1")) {
            _ = try IndexKeyCache(capacity: 1, indexHeadDim: 0)
        }
        assertThrows(.invalidSetting(name: "capacity", found: "-2", expected: "at least 0 tokens")) {
            _ = try IndexKeyCache(capacity: -2, indexHeadDim: 1)
        }
    }
}

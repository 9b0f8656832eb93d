import SparseAttention
import TestSupport
import XCTest

/// The examples of the core's documentation.
final class AttentionExampleTests: XCTestCase {
    func testIndexerWithACache() throws {
        var generator = SeededGenerator(seed: 3)
        let newKeys = generator.tensor([300, 128], magnitude: 1)
        let queries = generator.tensor([1, 64, 128], magnitude: 1)
        let headWeights = generator.tensor([1, 64], magnitude: 1)
        // Shown in Sources/SparseAttention/Documentation.docc/TheLightningIndexer.md
        let precision = LightningIndexer.Precision.float8(.powerOfTwo)
        let indexer = try LightningIndexer(heads: 64, headDim: 128, topK: 128, precision: precision)
        var keys = try IndexKeyCache(
            capacity: 4096,
            indexHeadDim: 128,
            encoding: indexer.keyEncoding(for: .float8)
        )
        try keys.append(newKeys)  // [300, 128]: rotated and quantized once
        let chosen = try indexer.select(
            queries: queries,  // [1, 64, 128]
            weights: headWeights,  // [1, 64]
            keys: keys,
            from: keys.count - 1
        )
        print(chosen.sets[0].count, keys.bytesPerToken)  // 128 132
        // Shown: end
        XCTAssertEqual(chosen.sets[0].count, 128)
        XCTAssertEqual(keys.bytesPerToken, 132)
    }
}

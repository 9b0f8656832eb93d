package import SparseAttention

/// The sizes of a lightning indexer with a sequence, and the seed of its arguments.
package struct IndexerCase: Hashable, Sendable {
    /// Query tokens.
    package let queryTokens: Int
    /// The position of the first query token.
    package let position: Int
    /// Index heads.
    package let heads: Int
    /// The width of queries and keys.
    package let headDim: Int
    /// The most tokens to select.
    package let topK: Int
    /// The seed of queries, weights and keys.
    package let seed: UInt64

    /// Decoding and prefill, few and many tiles of queries, several tiles and parts of keys, and more slots than
    /// tokens.
    package static let all: [IndexerCase] = [
        IndexerCase(1, from: 0, heads: 1, headDim: 1, topK: 1, seed: 1),
        IndexerCase(1, from: 99, heads: 4, headDim: 16, topK: 10, seed: 2),
        IndexerCase(63, from: 0, heads: 2, headDim: 7, topK: 7, seed: 3),
        IndexerCase(5, from: 58, heads: 3, headDim: 63, topK: 100, seed: 4),
        IndexerCase(2, from: 600, heads: 2, headDim: 2, topK: 31, seed: 5),
        IndexerCase(33, from: 500, heads: 1, headDim: 2, topK: 17, seed: 6),
        IndexerCase(0, from: 3, heads: 2, headDim: 4, topK: 2, seed: 7),
        IndexerCase(115, from: 90, heads: 5, headDim: 2, topK: 9, seed: 8),
        IndexerCase(2, from: 2200, heads: 5, headDim: 1, topK: 600, seed: 9),
    ]

    /// Head counts and widths whose square roots are powers of two: with `exactTensors` no score is rounded.
    package static let exact: [IndexerCase] = [
        IndexerCase(1, from: 0, heads: 1, headDim: 1, topK: 1, seed: 11),
        IndexerCase(1, from: 99, heads: 4, headDim: 16, topK: 10, seed: 12),
        IndexerCase(37, from: 0, heads: 4, headDim: 4, topK: 7, seed: 13),
        IndexerCase(5, from: 58, heads: 1, headDim: 16, topK: 100, seed: 14),
        IndexerCase(2, from: 600, heads: 4, headDim: 1, topK: 31, seed: 15),
        IndexerCase(33, from: 500, heads: 1, headDim: 4, topK: 17, seed: 16),
        IndexerCase(115, from: 90, heads: 4, headDim: 1, topK: 9, seed: 17),
        IndexerCase(2, from: 2200, heads: 1, headDim: 4, topK: 300, seed: 18),
    ]

    /// The tokens of the sequence, the query tokens included.
    package var keyTokens: Int { position + queryTokens }

    /// The indexer.
    package func indexer(
        precision: LightningIndexer.Precision = .float32,
        workers: Workers = .all
    ) throws(SparseAttentionError) -> LightningIndexer {
        try LightningIndexer(
            heads: heads,
            headDim: headDim,
            topK: topK,
            precision: precision,
            workers: workers
        )
    }

    /// Queries, head weights (of either sign) and keys.
    package var tensors: (queries: Tensor, weights: Tensor, keys: Tensor) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.tensor(Shape(trusted: [queryTokens, heads, headDim])),
            generator.tensor(Shape(trusted: [queryTokens, heads])),
            generator.tensor(Shape(trusted: [keyTokens, headDim]))
        )
    }

    /// As `tensors`, of small integers: scores are exact in any order, and many are equal.
    package var exactTensors: (queries: Tensor, weights: Tensor, keys: Tensor) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.integers(Shape(trusted: [queryTokens, heads, headDim])),
            generator.integers(Shape(trusted: [queryTokens, heads])),
            generator.integers(Shape(trusted: [keyTokens, headDim]))
        )
    }

    private init(_ queryTokens: Int, from position: Int, heads: Int, headDim: Int, topK: Int, seed: UInt64) {
        self.queryTokens = queryTokens
        self.position = position
        self.heads = heads
        self.headDim = headDim
        self.topK = topK
        self.seed = seed
    }
}

package import SparseAttention

/// The sizes of a multi-head, grouped-query or multi-query attention, and the seed of its arguments.
package struct AttentionCase: Hashable, Sendable {
    /// Query tokens, the last of the sequence.
    package let queryTokens: Int
    /// All tokens.
    package let keyTokens: Int
    /// Query heads.
    package let heads: Int
    /// Key heads, a divisor of `heads`.
    package let keyHeads: Int
    /// The width of queries and keys.
    package let headDim: Int
    /// The width of values.
    package let valueDim: Int
    /// The seed of queries, keys and values.
    package let seed: UInt64

    /// Every head count, one token to several tiles of queries and keys, and keys split into parts.
    package static let all: [AttentionCase] = [
        AttentionCase(1, 1, heads: 1, over: 1, headDim: 1, valueDim: 1, seed: 1),
        AttentionCase(1, 100, heads: 4, over: 4, headDim: 8, valueDim: 5, seed: 2),
        AttentionCase(63, 63, heads: 2, over: 1, headDim: 7, valueDim: 3, seed: 3),
        AttentionCase(7, 100, heads: 6, over: 2, headDim: 16, valueDim: 17, seed: 4),
        AttentionCase(3, 261, heads: 3, over: 3, headDim: 4, valueDim: 2, seed: 5),
        AttentionCase(5, 31, heads: 130, over: 1, headDim: 3, valueDim: 2, seed: 6),
        AttentionCase(0, 9, heads: 2, over: 2, headDim: 3, valueDim: 2, seed: 7),
    ]

    /// Keys are split into parts that some of the query tokens do not reach.
    package static let split: [AttentionCase] = [
        AttentionCase(1, 2100, heads: 2, over: 1, headDim: 2, valueDim: 2, seed: 11),
        AttentionCase(1, 2053, heads: 2, over: 2, headDim: 3, valueDim: 1, seed: 12),
        AttentionCase(3, 1025, heads: 65, over: 1, headDim: 1, valueDim: 1, seed: 13),
        AttentionCase(140, 1030, heads: 1, over: 1, headDim: 1, valueDim: 1, seed: 14),
    ]

    /// What scores are multiplied by.
    package var scale: Float { 1 / Float(headDim).squareRoot() }

    /// Queries, keys and values.
    package var tensors: (queries: Tensor, keys: Tensor, values: Tensor) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.tensor(Shape(trusted: [queryTokens, heads, headDim]), magnitude: 2),
            generator.tensor(Shape(trusted: [keyTokens, keyHeads, headDim]), magnitude: 2),
            generator.tensor(Shape(trusted: [keyTokens, keyHeads, valueDim]))
        )
    }

    private init(
        _ queryTokens: Int,
        _ keyTokens: Int,
        heads: Int,
        over keyHeads: Int,
        headDim: Int,
        valueDim: Int,
        seed: UInt64
    ) {
        self.queryTokens = queryTokens
        self.keyTokens = keyTokens
        self.heads = heads
        self.keyHeads = keyHeads
        self.headDim = headDim
        self.valueDim = valueDim
        self.seed = seed
    }
}

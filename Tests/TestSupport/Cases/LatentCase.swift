package import SparseAttention

/// The sizes of a layer of multi-head latent attention with a sequence, and the seed of its arguments.
package struct LatentCase: Hashable, Sendable {
    /// Query tokens, the last of the sequence.
    package let queryTokens: Int
    /// All tokens.
    package let keyTokens: Int
    /// Heads, latentDim, ropeDim, nopeDim and valueDim.
    package let sizes: [Int]
    /// Slots of a selection.
    package let slots: Int
    /// How the cache stores rows.
    package let format: CacheFormat
    /// The seed of queries, rows, weight and selection.
    package let seed: UInt64

    /// Decoding, prefill from the start and in chunks, several tiles of keys, and a bfloat16 cache.
    package static let all: [LatentCase] = [
        LatentCase(1, 1, sizes: [1, 1, 1, 1, 1], slots: 1, seed: 1),
        LatentCase(1, 63, sizes: [4, 8, 4, 6, 5], slots: 16, seed: 2),
        LatentCase(13, 13, sizes: [3, 7, 2, 5, 4], slots: 4, seed: 3),
        LatentCase(5, 100, sizes: [2, 16, 4, 8, 8], slots: 31, seed: 4),
        LatentCase(2, 300, sizes: [2, 4, 2, 3, 2], slots: 280, seed: 5),
        LatentCase(11, 29, sizes: [2, 8, 2, 4, 3], slots: 64, seed: 6),
        LatentCase(4, 37, sizes: [2, 8, 4, 4, 4], slots: 7, format: .bfloat16, seed: 7),
    ]

    /// Several tiles of query tokens, and more of them than share an expanded tile of keys.
    package static let long: [LatentCase] = [
        LatentCase(261, 270, sizes: [2, 3, 2, 2, 2], slots: 9, seed: 11),
        LatentCase(1_030, 1_031, sizes: [1, 2, 1, 1, 1], slots: 5, format: .bfloat16, seed: 12),
    ]

    /// The layer.
    package func attention(workers: Workers = .all) throws(SparseAttentionError) -> LatentAttention {
        let dimensions = try LatentAttention.Dimensions(
            heads: sizes[0],
            latentDim: sizes[1],
            ropeDim: sizes[2],
            nopeDim: sizes[3],
            valueDim: sizes[4]
        )
        return try LatentAttention(
            dimensions: dimensions,
            scale: 1 / Float(dimensions.queryDim).squareRoot(),
            workers: workers
        )
    }

    /// Queries, latents, rope keys and the weight of the key-value projection.
    package var tensors: (queries: Tensor, latents: Tensor, ropeKeys: Tensor, weight: Tensor) {
        var generator = SeededGenerator(seed: seed)
        let (heads, latentDim, ropeDim, nopeDim, valueDim) = (
            sizes[0], sizes[1], sizes[2], sizes[3], sizes[4]
        )
        return (
            generator.tensor(Shape(trusted: [queryTokens, heads, nopeDim + ropeDim]), magnitude: 2),
            generator.tensor(Shape(trusted: [keyTokens, latentDim])),
            generator.tensor(Shape(trusted: [keyTokens, ropeDim])),
            generator.tensor(Shape(trusted: [heads * (nopeDim + valueDim), latentDim]))
        )
    }

    /// A cache of the case's format that holds some rows.
    package func cache(latents: Tensor, ropeKeys: Tensor) throws(SparseAttentionError) -> LatentCache {
        var cache = try LatentCache(
            capacity: keyTokens,
            latentDim: sizes[1],
            ropeDim: sizes[2],
            format: format
        )
        try cache.append(latents: latents, ropeKeys: ropeKeys)
        return cache
    }

    /// Visible positions in random order, unused slots among them.
    package func selection() throws(SparseAttentionError) -> TokenSelection {
        var generator = SeededGenerator(seed: ~seed)
        return try generator.selection(
            queryTokens: queryTokens,
            slots: slots,
            position: keyTokens - queryTokens
        )
    }

    private init(
        _ queryTokens: Int,
        _ keyTokens: Int,
        sizes: [Int],
        slots: Int,
        format: CacheFormat = .float32,
        seed: UInt64
    ) {
        self.queryTokens = queryTokens
        self.keyTokens = keyTokens
        self.sizes = sizes
        self.slots = slots
        self.format = format
        self.seed = seed
    }
}

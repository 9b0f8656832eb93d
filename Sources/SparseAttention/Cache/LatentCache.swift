/// The keys and values of latent attention: one row a token, shared by all heads.
///
/// A row is the normalised latent followed by the rotated rope key. Never copied; truncating and appending
/// again is how a sequence goes back.
public struct LatentCache: ~Copyable {
    /// The width of the latent, in numbers.
    public let latentDim: Int
    /// The width of the rope key, in numbers.
    public let ropeDim: Int

    /// How rows are stored.
    public let format: CacheFormat

    private var cache: RowCache

    /// Reserves room for a number of tokens; memory is taken as they arrive.
    ///
    /// - Parameters:
    ///   - capacity: the most tokens it will hold.
    ///   - latentDim: at least 1.
    ///   - ropeDim: at least 0.
    ///   - format: how rows are stored.
    /// - Throws: `invalidSetting` or `insufficientMemory`.
    public init(
        capacity: Int,
        latentDim: Int,
        ropeDim: Int,
        format: CacheFormat = .float32
    ) throws(SparseAttentionError) {
        guard latentDim >= 1, ropeDim >= 0 else {
            throw .invalidSetting(
                name: "row",
                found: "\(latentDim) + \(ropeDim)",
                expected: "at least 1 + 0 numbers"
            )
        }
        cache = try RowCache(
            .latents(latentDim: latentDim, ropeDim: ropeDim, format: format, blockRows: capacity)
        )
        self.format = format
        self.latentDim = latentDim
        self.ropeDim = ropeDim
    }

    /// The number of tokens held.
    public var count: Int { cache.count }
    /// The most tokens it can hold.
    public var capacity: Int { cache.capacity }
    /// The bytes one token takes.
    public var bytesPerToken: Int { cache.rowByteCount }

    /// Appends tokens.
    ///
    /// - Parameters:
    ///   - latents: `[tokens, latentDim]`, normalised.
    ///   - ropeKeys: `[tokens, ropeDim]`, rotated.
    /// - Throws: `shapeMismatch`, `cacheFull`, or `nonFinite` from a `float8` cache; the cache is unchanged
    ///   then.
    public mutating func append(latents: Tensor, ropeKeys: Tensor) throws(SparseAttentionError) {
        let tokens = latents.shape.rows
        guard latents.shape == [tokens, latentDim] else {
            throw .shapeMismatch(argument: "latents", expected: [tokens, latentDim], found: latents.shape)
        }
        guard ropeKeys.shape == [tokens, ropeDim] else {
            throw .shapeMismatch(argument: "ropeKeys", expected: [tokens, ropeDim], found: ropeKeys.shape)
        }
        try cache.layout.validate(latents, named: "latents")
        try cache.layout.validate(ropeKeys, named: "ropeKeys")
        try cache.append([latents, ropeKeys], rows: tokens)
    }

    /// Forgets every token from `length` on.
    ///
    /// - Throws: `positionOutOfRange` when fewer are held.
    public mutating func truncate(to length: Int) throws(SparseAttentionError) {
        try cache.truncate(to: length)
    }

    /// Lends the rows, `[count, latentDim + ropeDim]`.
    package borrowing func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try cache.withRows(body)
    }

    /// Lends the stored bytes of all tokens: one part, or codes and scales.
    package borrowing func withStoredParts<Result>(
        _ body: ([UnsafeRawBufferPointer]) throws -> Result
    ) rethrows -> Result {
        try cache.withParts(body)
    }

    /// Replaces all tokens by stored ones of a cache of the same form.
    ///
    /// - Throws: `cacheFull`, or `shapeMismatch` for parts of other sizes.
    package mutating func restore(
        _ parts: [UnsafeRawBufferPointer],
        tokens: Int
    ) throws(SparseAttentionError) {
        try cache.restore(parts, rows: tokens)
    }

    /// Replaces all tokens by the first ones of a cache of the same form, whose capacity may be another.
    ///
    /// - Throws: `positionOutOfRange` when it holds fewer, `cacheFull`.
    package mutating func restore(
        _ tokens: Int,
        of other: borrowing LatentCache
    ) throws(SparseAttentionError) {
        try cache.restore(tokens, of: other.cache)
    }
}

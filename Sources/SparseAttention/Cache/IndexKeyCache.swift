/// The lightning indexer's keys: one row a token, shared by all index heads.
///
/// A cache knows what its rows are: keys as they were given, or the rotated codes that the deployed indexer scores. An
/// indexer refuses keys of another encoding than its arithmetic is defined on.
public struct IndexKeyCache: ~Copyable {
    /// What the rows are.
    public let encoding: IndexKeyEncoding

    private var cache: RowCache

    /// Reserves room for a number of tokens; memory is taken as they arrive.
    ///
    /// - Parameters:
    ///   - capacity: the most tokens it will hold.
    ///   - indexHeadDim: the width of a key, at least 1.
    ///   - format: how keys are stored.
    /// - Throws: `invalidSetting` or `insufficientMemory`.
    public init(
        capacity: Int,
        indexHeadDim: Int,
        format: CacheFormat = .float32
    ) throws(SparseAttentionError) {
        try self.init(capacity: capacity, indexHeadDim: indexHeadDim, encoding: .plain(format))
    }

    /// Reserves room for a number of tokens; memory is taken as they arrive.
    ///
    /// - Parameters:
    ///   - capacity: the most tokens it will hold.
    ///   - indexHeadDim: the width of a key: at least 1, and a power of two of at most 128 for rotated codes.
    ///   - encoding: what the rows are, such as ``LightningIndexer/keyEncoding(for:)``.
    /// - Throws: `invalidSetting` or `insufficientMemory`.
    public init(
        capacity: Int,
        indexHeadDim: Int,
        encoding: IndexKeyEncoding
    ) throws(SparseAttentionError) {
        cache = try RowCache(encoding.layout(indexHeadDim: indexHeadDim, blockRows: capacity))
        self.encoding = encoding
    }

    /// How keys are stored.
    public var format: CacheFormat { encoding.format }
    /// The number of tokens held.
    public var count: Int { cache.count }
    /// The most tokens it can hold.
    public var capacity: Int { cache.capacity }
    /// The width of a key.
    public var indexHeadDim: Int { cache.layout.columns }
    /// The bytes one token takes.
    public var bytesPerToken: Int { cache.rowByteCount }

    /// Appends the keys of new tokens.
    ///
    /// - Parameter keys: `[tokens, indexHeadDim]`, after LayerNorm and RoPE; the cache encodes them.
    /// - Throws: `shapeMismatch`, `cacheFull`, or `nonFinite` from a `float8` cache; the cache is unchanged
    ///   then.
    public mutating func append(_ keys: Tensor) throws(SparseAttentionError) {
        let tokens = keys.shape.rows
        guard keys.shape == [tokens, indexHeadDim] else {
            throw .shapeMismatch(argument: "keys", expected: [tokens, indexHeadDim], found: keys.shape)
        }
        try cache.layout.validate(keys, named: "keys")
        try cache.append([encoding.prepared(keys)], rows: tokens)
    }

    /// Forgets every token from `length` on.
    ///
    /// - Throws: `positionOutOfRange` when fewer are held.
    public mutating func truncate(to length: Int) throws(SparseAttentionError) {
        try cache.truncate(to: length)
    }

    /// Lends the keys, `[count, indexHeadDim]`.
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
        of other: borrowing IndexKeyCache
    ) throws(SparseAttentionError) {
        try cache.restore(tokens, of: other.cache)
    }
}

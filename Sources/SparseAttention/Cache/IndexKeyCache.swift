/// The lightning indexer's keys: one row a token, shared by all index heads.
///
/// A `float8` cache quantizes the keys it is given: whoever wants them Hadamard-rotated first rotates them.
public struct IndexKeyCache: ~Copyable {
    /// How keys are stored.
    public let format: CacheFormat

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
        guard indexHeadDim >= 1 else {
            throw .invalidSetting(name: "indexHeadDim", found: "\(indexHeadDim)", expected: "at least 1")
        }
        cache = try RowCache(.keys(columns: indexHeadDim, format: format, blockRows: capacity))
        self.format = format
    }

    /// The number of tokens held.
    public var count: Int { cache.count }
    /// The most tokens it can hold.
    public var capacity: Int { cache.capacity }
    /// The width of a key.
    public var indexHeadDim: Int { cache.layout.columns }
    /// The bytes one token takes.
    public var bytesPerToken: Int { cache.rowByteCount }

    /// Appends the keys of new tokens, normalised and rotated.
    ///
    /// - Parameter keys: `[tokens, indexHeadDim]`.
    /// - Throws: `shapeMismatch`, `cacheFull`, or `nonFinite` from a `float8` cache; the cache is unchanged
    ///   then.
    public mutating func append(_ keys: Tensor) throws(SparseAttentionError) {
        let tokens = keys.shape.rows
        guard keys.shape == [tokens, indexHeadDim] else {
            throw .shapeMismatch(argument: "keys", expected: [tokens, indexHeadDim], found: keys.shape)
        }
        try cache.layout.validate(keys, named: "keys")
        try cache.append([keys], rows: tokens)
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
}

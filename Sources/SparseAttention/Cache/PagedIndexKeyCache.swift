/// The lightning indexer's keys of one sequence, in pages of 64 tokens that sequences can share.
///
/// Reads back what an ``IndexKeyCache`` of the same encoding does, bit for bit. A `float8` page holds the
/// codes of its tokens first, then their scales.
public struct PagedIndexKeyCache: ~Copyable {
    /// Pages that index key caches take and give back; safe to use from several tasks.
    public struct Pool: Sendable {
        /// The width of a key.
        public let indexHeadDim: Int
        /// What the rows are.
        public let encoding: IndexKeyEncoding

        fileprivate let pool: PagePool

        /// Reserves pages; memory is taken as they fill.
        ///
        /// - Parameters:
        ///   - pages: at least 0; each has room for ``pageTokens`` tokens.
        ///   - indexHeadDim: the width of a key, at least 1.
        ///   - format: how keys are stored.
        /// - Throws: `SparseAttentionError.invalidSetting` or `insufficientMemory`.
        public init(
            pages: Int,
            indexHeadDim: Int,
            format: CacheFormat = .float32
        ) throws(SparseAttentionError) {
            try self.init(pages: pages, indexHeadDim: indexHeadDim, encoding: .plain(format))
        }

        /// Reserves pages; memory is taken as they fill.
        ///
        /// - Parameters:
        ///   - pages: at least 0; each has room for ``pageTokens`` tokens.
        ///   - indexHeadDim: the width of a key: at least 1, and a power of two of at most 128 for rotated codes.
        ///   - encoding: what the rows are, such as ``LightningIndexer/keyEncoding(for:)``.
        /// - Throws: `SparseAttentionError.invalidSetting` or `insufficientMemory`.
        public init(
            pages: Int,
            indexHeadDim: Int,
            encoding: IndexKeyEncoding
        ) throws(SparseAttentionError) {
            pool = try PagePool(
                pages: pages,
                layout: encoding.layout(indexHeadDim: indexHeadDim, blockRows: PagePool.pageTokens)
            )
            self.indexHeadDim = indexHeadDim
            self.encoding = encoding
        }

        /// How keys are stored.
        public var format: CacheFormat { encoding.format }
        /// The tokens of a page, 64.
        public static let pageTokens = PagePool.pageTokens
        /// The number of pages.
        public var pages: Int { pool.pages }
        /// The pages no sequence holds.
        public var freePages: Int { pool.freePages }
        /// The bytes one token takes.
        public var bytesPerToken: Int { pool.layout.rowByteCount }

        /// The bytes of one page, copied.
        package func bytes(ofPage page: Int32) -> [UInt8] {
            [UInt8](UnsafeRawBufferPointer(start: pool.start(of: page), count: pool.pageByteCount))
        }
    }

    /// Where the pages come from.
    public let pool: Pool

    private var rows: PagedRows

    /// An empty sequence.
    ///
    /// - Parameter pool: where its pages come from.
    public init(_ pool: Pool) {
        self.pool = pool
        rows = PagedRows(pool.pool)
    }

    private init(_ pool: Pool, rows: consuming PagedRows) {
        self.pool = pool
        self.rows = rows
    }

    /// The number of tokens held.
    public var count: Int { rows.count }
    /// The page table: where in the pool each 64 tokens lie.
    public var pageTable: [Int32] { rows.pages }

    /// A sequence with the same tokens, whose pages are shared until one of the two appends.
    public borrowing func fork() -> PagedIndexKeyCache {
        PagedIndexKeyCache(pool, rows: rows.fork())
    }

    /// Appends the keys of new tokens.
    ///
    /// - Parameter keys: `[tokens, indexHeadDim]`, after LayerNorm and RoPE; the cache encodes them.
    /// - Throws: `shapeMismatch`, `cacheFull` when too few pages are free, or `nonFinite` from a `float8`
    ///   cache; the cache is unchanged then.
    public mutating func append(_ keys: Tensor) throws(SparseAttentionError) {
        let tokens = keys.shape.rows
        guard keys.shape == [tokens, pool.indexHeadDim] else {
            throw .shapeMismatch(argument: "keys", expected: [tokens, pool.indexHeadDim], found: keys.shape)
        }
        try pool.pool.layout.validate(keys, named: "keys")
        try rows.append([pool.encoding.prepared(keys)], rows: tokens)
    }

    /// Forgets every token from `length` on; pages without tokens go back to the pool.
    ///
    /// - Throws: `positionOutOfRange` when fewer are held.
    public mutating func truncate(to length: Int) throws(SparseAttentionError) {
        try rows.truncate(to: length)
    }

    /// Lends the keys, `[count, indexHeadDim]`.
    package borrowing func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try rows.withRows(body)
    }
}

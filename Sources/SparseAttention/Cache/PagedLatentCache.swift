/// The keys and values of latent attention of one sequence, in pages of 64 tokens that sequences can share.
///
/// Reads back what a ``LatentCache`` of the same format does, bit for bit. A forked sequence shares every
/// page with the original; whichever of the two appends to a page that is not full does so in a copy of that
/// page.
public struct PagedLatentCache: ~Copyable {
    /// Pages that latent caches take and give back; safe to use from several tasks.
    public struct Pool: Sendable {
        /// The width of the latent, in numbers.
        public let latentDim: Int
        /// The width of the rope key, in numbers.
        public let ropeDim: Int
        /// How rows are stored.
        public let format: CacheFormat

        fileprivate let pool: PagePool

        /// Reserves pages; memory is taken as they fill.
        ///
        /// - Parameters:
        ///   - pages: at least 0; each has room for ``pageTokens`` tokens.
        ///   - latentDim: at least 1.
        ///   - ropeDim: at least 0.
        ///   - format: how rows are stored.
        /// - Throws: `SparseAttentionError.invalidSetting` or `insufficientMemory`.
        public init(
            pages: Int,
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
            pool = try PagePool(
                pages: pages,
                layout: .latents(
                    latentDim: latentDim,
                    ropeDim: ropeDim,
                    format: format,
                    blockRows: PagePool.pageTokens
                )
            )
            self.latentDim = latentDim
            self.ropeDim = ropeDim
            self.format = format
        }

        /// The tokens of a page, 64.
        public static let pageTokens = PagePool.pageTokens
        /// The number of pages.
        public var pages: Int { pool.pages }
        /// The pages no sequence holds.
        public var freePages: Int { pool.freePages }
        /// The bytes one token takes.
        public var bytesPerToken: Int { pool.layout.rowByteCount }
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
    public borrowing func fork() -> PagedLatentCache {
        PagedLatentCache(pool, rows: rows.fork())
    }

    /// Appends tokens.
    ///
    /// - Parameters:
    ///   - latents: `[tokens, latentDim]`, normalised.
    ///   - ropeKeys: `[tokens, ropeDim]`, rotated.
    /// - Throws: `shapeMismatch`, `cacheFull` when too few pages are free, or `nonFinite` from a `float8`
    ///   cache; the cache is unchanged then.
    public mutating func append(latents: Tensor, ropeKeys: Tensor) throws(SparseAttentionError) {
        let tokens = latents.shape.rows
        guard latents.shape == [tokens, pool.latentDim] else {
            throw .shapeMismatch(
                argument: "latents",
                expected: [tokens, pool.latentDim],
                found: latents.shape
            )
        }
        guard ropeKeys.shape == [tokens, pool.ropeDim] else {
            throw .shapeMismatch(
                argument: "ropeKeys",
                expected: [tokens, pool.ropeDim],
                found: ropeKeys.shape
            )
        }
        try pool.pool.layout.validate(latents, named: "latents")
        try pool.pool.layout.validate(ropeKeys, named: "ropeKeys")
        try rows.append([latents, ropeKeys], rows: tokens)
    }

    /// Forgets every token from `length` on; pages without tokens go back to the pool.
    ///
    /// - Throws: `positionOutOfRange` when fewer are held.
    public mutating func truncate(to length: Int) throws(SparseAttentionError) {
        try rows.truncate(to: length)
    }

    /// Where selected tokens lie in the pool, as the public kernels count: `page · 64 + offset`.
    ///
    /// - Parameter selection: positions; one that is negative or beyond the last token becomes −1.
    /// - Returns: slots in the order of the positions.
    public borrowing func slots(of selection: TokenSelection) -> TokenSelection {
        rows.slots(of: selection)
    }

    /// Which tokens lie in some slots of the pool.
    ///
    /// - Parameter slots: `page · 64 + offset`, or −1 for none.
    /// - Returns: positions in the order of the slots.
    /// - Throws: `invalidSetting` for a slot that holds no token of this sequence.
    public borrowing func positions(of slots: TokenSelection) throws(SparseAttentionError) -> TokenSelection {
        try rows.positions(of: slots)
    }

    /// Lends the rows, `[count, latentDim + ropeDim]`.
    package borrowing func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try rows.withRows(body)
    }
}

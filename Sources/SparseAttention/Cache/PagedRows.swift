/// The rows of one sequence in pages of a pool: the memory of both paged caches.
struct PagedRows: ~Copyable {
    let pool: PagePool
    private(set) var count = 0
    /// The page of each 64 rows.
    private(set) var pages: [Int32] = []

    /// An empty sequence.
    init(_ pool: PagePool) {
        self.pool = pool
    }

    private init(_ pool: PagePool, sharing pages: [Int32], count: Int) {
        pool.share(pages)
        self.pool = pool
        self.pages = pages
        self.count = count
    }

    deinit {
        pool.release(pages)
    }

    /// A sequence with the same rows, in the same pages until one of the two appends.
    borrowing func fork() -> PagedRows {
        PagedRows(pool, sharing: pages, count: count)
    }

    /// Appends `parts` side by side: each gives some columns of every new row.
    ///
    /// - Throws: `cacheFull` with the rows unchanged when too few pages are free.
    mutating func append(_ parts: [Tensor], rows: Int) throws(SparseAttentionError) {
        guard rows > 0 else { return }
        let used = count % PagePool.pageTokens
        // Rows that others still read stay as they are: the sequence goes on in a copy of its own.
        let shared = pages.last.flatMap { used > 0 && pool.isShared($0) ? $0 : nil }
        let added = tileCount(count + rows, PagePool.pageTokens) - pages.count
        var taken: [Int32]
        do {
            taken = try pool.take(added + (shared == nil ? 0 : 1))
        } catch {
            let usable = pages.count + error.free - (shared == nil ? 0 : 1)
            throw .cacheFull(capacity: max(count, usable * PagePool.pageTokens), requested: count + rows)
        }
        if let shared, let copy = taken.popLast() {
            pool.start(of: copy).copyMemory(from: pool.start(of: shared), byteCount: pool.pageByteCount)
            pages[pages.count - 1] = copy
            pool.release([shared])
        }
        pages += taken
        pool.layout.write(parts, rows: rows, from: count) { pool.start(of: pages[$0]) }
        count += rows
    }

    /// Forgets every row from `length` on and releases the pages that are empty then.
    mutating func truncate(to length: Int) throws(SparseAttentionError) {
        guard (0...count).contains(length) else {
            throw .positionOutOfRange(position: length, allowed: 0..<count + 1)
        }
        let kept = tileCount(length, PagePool.pageTokens)
        pool.release(pages[kept...])
        pages.removeSubrange(kept...)
        count = length
    }

    /// The rows so far.
    borrowing func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(RowsView(base: UnsafeRawPointer(pool.base), layout: pool.layout, pages: pages, rows: count))
    }
}

// MARK: - Slots

extension PagedRows {
    /// The slots, `page · 64 + offset`, of selected positions; −1 for an unused one.
    borrowing func slots(of selection: TokenSelection) -> TokenSelection {
        let slots = selection.positions.map { position in
            guard (0..<count).contains(Int(position)) else { return TokenSelection.unused }
            let (page, offset) = Int(position).quotientAndRemainder(dividingBy: PagePool.pageTokens)
            return pages[page] * Int32(PagePool.pageTokens) + Int32(offset)
        }
        return TokenSelection(trusted: slots, queryTokens: selection.queryTokens, slots: selection.slots)
    }

    /// The positions of selected slots.
    ///
    /// - Throws: `invalidSetting` for a slot that holds no row of the sequence.
    borrowing func positions(of slots: TokenSelection) throws(SparseAttentionError) -> TokenSelection {
        var places = [Int?](repeating: nil, count: pool.pages)
        for (place, page) in pages.enumerated() {
            places[Int(page)] = place
        }
        var positions = slots.positions
        for (index, slot) in slots.positions.enumerated() where slot != TokenSelection.unused {
            let (page, offset) = Int(slot).quotientAndRemainder(dividingBy: PagePool.pageTokens)
            guard slot >= 0, page < places.count, let place = places[page],
                place * PagePool.pageTokens + offset < count
            else {
                throw .invalidSetting(
                    name: "slot",
                    found: "\(slot)",
                    expected: "\(TokenSelection.unused), or the slot of one of the sequence's \(count) tokens"
                )
            }
            positions[index] = Int32(place * PagePool.pageTokens + offset)
        }
        return TokenSelection(trusted: positions, queryTokens: slots.queryTokens, slots: slots.slots)
    }
}

/// Rows of one width, appended as tokens arrive: the memory of both caches.
///
/// Room for every token is reserved at once and never moves; the operating system commits it as it fills.
struct RowCache: ~Copyable {
    let capacity: Int
    let layout: RowLayout
    private(set) var count = 0
    private let buffer: AlignedBuffer

    /// Reserves one block of a layout.
    init(_ layout: RowLayout) throws(SparseAttentionError) {
        guard layout.blockRows >= 0 else {
            throw .invalidSetting(
                name: "capacity",
                found: "\(layout.blockRows)",
                expected: "at least 0 tokens"
            )
        }
        let byteCount = try layout.byteCount(blocks: 1)
        capacity = layout.blockRows
        self.layout = layout
        buffer = AlignedBuffer(
            byteCount: byteCount,
            poisoned: AlignedBuffer.poisonsFreshMemory && layout.blockRows <= 4096
        )
    }

    /// Bytes of one row.
    var rowByteCount: Int { layout.rowByteCount }

    /// Appends `parts` side by side: each gives some columns of every new row.
    mutating func append(_ parts: [Tensor], rows: Int) throws(SparseAttentionError) {
        guard rows <= capacity - count else { throw .cacheFull(capacity: capacity, requested: count + rows) }
        layout.write(parts, rows: rows, from: count) { _ in buffer.base }
        count += rows
    }

    /// Forgets every row from `length` on.
    mutating func truncate(to length: Int) throws(SparseAttentionError) {
        guard (0...count).contains(length) else {
            throw .positionOutOfRange(position: length, allowed: 0..<count + 1)
        }
        count = length
    }

    /// The rows so far.
    borrowing func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try body(RowsView(base: UnsafeRawPointer(buffer.base), layout: layout, rows: count))
    }
}

// MARK: - Stored

extension RowLayout {
    /// Where the bytes of a block's first rows lie: one part, or codes and scales.
    func parts(rows: Int) -> [Range<Int>] {
        guard case .packedKeys = encoding else { return [0..<rows * rowByteCount] }
        let scales = blockRows * columns
        return [0..<rows * columns, scales..<scales + rows * Self.scaleBytes(columns)]
    }
}

extension RowCache {
    /// Lends the bytes of all rows, part by part.
    borrowing func withParts<Result>(_ body: ([UnsafeRawBufferPointer]) throws -> Result) rethrows -> Result {
        try body(
            layout.parts(rows: count).map {
                UnsafeRawBufferPointer(start: buffer.base + $0.lowerBound, count: $0.count)
            }
        )
    }

    /// Replaces all rows by stored ones of the same layout.
    ///
    /// - Throws: `cacheFull`, or `shapeMismatch` for parts of other sizes.
    mutating func restore(_ parts: [UnsafeRawBufferPointer], rows: Int) throws(SparseAttentionError) {
        guard (0...capacity).contains(rows) else { throw .cacheFull(capacity: capacity, requested: rows) }
        let places = layout.parts(rows: rows)
        for (index, place) in places.enumerated() {
            let found = index < parts.count ? parts[index].count : 0
            guard found == place.count else {
                throw .shapeMismatch(argument: "stored rows", expected: [place.count], found: [found])
            }
        }
        for (part, place) in zip(parts, places) {
            if let source = part.baseAddress {
                (buffer.base + place.lowerBound).copyMemory(from: source, byteCount: place.count)
            }
        }
        count = rows
    }

    /// Replaces all rows by the first ones of a cache of the same layout, whose capacity may be another.
    ///
    /// - Throws: `positionOutOfRange` when it holds fewer, `cacheFull`.
    mutating func restore(_ rows: Int, of other: borrowing RowCache) throws(SparseAttentionError) {
        guard (0...other.count).contains(rows) else {
            throw .positionOutOfRange(position: rows, allowed: 0..<other.count + 1)
        }
        guard rows <= capacity else { throw .cacheFull(capacity: capacity, requested: rows) }
        for (place, source) in zip(layout.parts(rows: rows), other.layout.parts(rows: rows)) {
            precondition(place.count == source.count, "the caches store different rows")
            (buffer.base + place.lowerBound)
                .copyMemory(from: other.buffer.base + source.lowerBound, byteCount: place.count)
        }
        count = rows
    }
}

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

/// Rows of one width, appended as tokens arrive: the memory of both caches.
///
/// Room for every token is reserved at once and never moves; the operating system commits it as it fills.
struct RowCache: ~Copyable {
    let columns: Int
    let format: StorageFormat
    let capacity: Int
    private(set) var count = 0
    private let buffer: AlignedBuffer

    init(capacity: Int, columns: Int, format: StorageFormat) throws(SparseAttentionError) {
        guard capacity >= 0 else {
            throw .invalidSetting(name: "capacity", found: "\(capacity)", expected: "at least 0 tokens")
        }
        let shape = try Shape([capacity, columns, format.byteCount])
        try AlignedBuffer.checkAvailable(byteCount: shape.count)
        self.capacity = capacity
        self.columns = columns
        self.format = format
        buffer = AlignedBuffer(
            byteCount: shape.count,
            poisoned: AlignedBuffer.poisonsFreshMemory && capacity <= 4096
        )
    }

    /// Bytes of one row.
    var rowByteCount: Int { columns * format.byteCount }

    /// Appends `parts` side by side: each gives some columns of every new row.
    mutating func append(_ parts: [Tensor], rows: Int) throws(SparseAttentionError) {
        guard rows <= capacity - count else { throw .cacheFull(capacity: capacity, requested: count + rows) }
        var column = 0
        for part in parts {
            part.withMatrix { part in
                for row in 0..<rows {
                    write(part[row], count: part.columns, row: count + row, column: column)
                }
                column += part.columns
            }
        }
        precondition(column == columns)
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
        try body(
            RowsView(
                base: UnsafeRawPointer(buffer.base),
                format: format,
                rows: count,
                columns: columns,
                stride: columns
            )
        )
    }

    private func write(_ source: UnsafePointer<Float>, count: Int, row: Int, column: Int) {
        let index = row * columns + column
        switch format {
        case .float32:
            (buffer.base.assumingMemoryBound(to: Float.self) + index).update(from: source, count: count)
        case .bfloat16:
            Kernels.round(
                source,
                toBFloat16: buffer.base.assumingMemoryBound(to: UInt16.self) + index,
                count: count
            )
        }
    }
}

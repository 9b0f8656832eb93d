/// The keys that index scores are computed with, as they are stored.
struct IndexKeys: @unchecked Sendable {
    // Sendable: read-only, and lent by its owner for the duration of a call.

    private enum Storage {
        case rows(RowsView)
        case codes(UnsafeRawBufferPointer, scales: UnsafeBufferPointer<Float>)
    }

    private let storage: Storage
    /// The number of keys.
    let count: Int
    /// The width of a key.
    let dim: Int

    /// The rows of a cache or of a tensor.
    init(_ rows: RowsView) {
        storage = .rows(rows)
        count = rows.rows
        dim = rows.columns
    }

    /// `count` keys of `dim` codes, one scale each.
    init(codes: UnsafeRawBufferPointer, scales: UnsafeBufferPointer<Float>, count: Int, dim: Int) {
        precondition(codes.count == count * dim && scales.count == count)
        storage = .codes(codes, scales: scales)
        self.count = count
        self.dim = dim
    }

    /// Some of the keys as they are stored, without gaps; nil when they are not.
    func stored(_ range: Range<Int>) -> RowsView.Stored? {
        switch storage {
        case .rows(let rows): return rows.stored(range)
        case .codes(let codes, let scales):
            return RowsView.Stored(
                format: .float8,
                bytes: UnsafeRawBufferPointer(
                    rebasing: codes[range.lowerBound * dim..<range.upperBound * dim]
                ),
                scales: UnsafeRawBufferPointer(UnsafeBufferPointer(rebasing: scales[range])).baseAddress
            )
        }
    }

    /// Some of the keys in float32, for those that `stored` has no answer for.
    func widened(_ range: Range<Int>, scratch: MutableMatrixView) -> MatrixView {
        guard case .rows(let rows) = storage else { preconditionFailure("codes lie without gaps") }
        return rows.tile(range, scratch: scratch)
    }
}

extension QuantizedRows {
    /// Lends the rows as keys; they are no wider than one block.
    func withKeys<Result>(_ body: (IndexKeys) -> Result) -> Result {
        codes.withUnsafeBytes { codes in
            scales.withUnsafeBufferPointer { scales in
                body(IndexKeys(codes: codes, scales: scales, count: rows, dim: columns))
            }
        }
    }
}

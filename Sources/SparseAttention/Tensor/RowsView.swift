/// Borrowed rows in the format they are stored in, widened to float32 as they are used.
package struct RowsView: @unchecked Sendable {
    // Sendable: read-only, and lent by its owner for the duration of a call.

    /// The number of rows.
    package let rows: Int
    /// The elements of one row.
    package let columns: Int

    let storage: Storage
    let base: UnsafeRawPointer

    enum Storage {
        /// Row after row, `stride` elements apart.
        case numbers(StorageFormat, stride: Int)
        /// Blocks of rows, one after the other in memory; the rows go through them in the order of `pages`.
        case blocks(RowLayout, pages: [Int32], byteCount: Int)
    }

    /// Lends stored rows.
    package init(base: UnsafeRawPointer, format: StorageFormat, rows: Int, columns: Int, stride: Int) {
        self.base = base
        storage = .numbers(format, stride: stride)
        self.rows = rows
        self.columns = columns
    }

    /// Lends the rows of one block.
    init(base: UnsafeRawPointer, layout: RowLayout, rows: Int) {
        if case .numbers(let format) = layout.encoding {
            self.init(base: base, format: format, rows: rows, columns: layout.columns, stride: layout.columns)
        } else {
            self.init(base: base, layout: layout, pages: [0], rows: rows)
        }
    }

    /// Lends the rows of a sequence of blocks.
    init(base: UnsafeRawPointer, layout: RowLayout, pages: [Int32], rows: Int) {
        precondition(rows <= pages.count * layout.blockRows)
        storage = .blocks(layout, pages: pages, byteCount: layout.blockRows * layout.rowByteCount)
        self.base = base
        self.rows = rows
        columns = layout.columns
    }

    /// Lends the rows of a matrix.
    package init(_ matrix: MatrixView) {
        self.init(
            base: UnsafeRawPointer(matrix.base),
            format: .float32,
            rows: matrix.rows,
            columns: matrix.columns,
            stride: matrix.stride
        )
    }

    /// The rows as they lie in memory; nil when they are not float32, or in blocks.
    var matrix: MatrixView? {
        guard case .numbers(.float32, let stride) = storage else { return nil }
        return MatrixView(
            base: base.assumingMemoryBound(to: Float.self),
            rows: rows,
            columns: columns,
            stride: stride
        )
    }

    /// Floats of working memory `tile` needs for `rows` rows.
    package func scratchFloats(rows: Int) -> Int {
        if case .numbers(.float32, _) = storage { 0 } else { rows * columns }
    }

    /// Some of the rows in float32: in place when they are stored so, else widened into `scratch`.
    package func tile(_ range: Range<Int>, scratch: MutableMatrixView) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        switch storage {
        case .numbers(.float32, let stride):
            let start = base.assumingMemoryBound(to: Float.self) + range.lowerBound * stride
            return MatrixView(base: start, rows: range.count, columns: columns, stride: stride)
        case .numbers(.bfloat16, _), .blocks:
            let output = scratch.rows(0..<range.count)
            for (row, source) in range.enumerated() {
                widen(source, into: output[row])
            }
            return output.view
        }
    }

    /// Rows as they are stored, without gaps.
    struct Stored {
        let format: Kernels.KeyFormat
        let bytes: UnsafeRawBufferPointer
        /// One float32 a row, little-endian and of any alignment; nil where the scale is 1.
        let scales: UnsafeRawPointer?
    }

    /// Some of the rows as they are stored; nil when they lie apart or need more than one scale each.
    func stored(_ range: Range<Int>) -> Stored? {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        let (start, row, format): (UnsafeRawPointer, Int, Kernels.KeyFormat)
        var scales: UnsafeRawPointer?
        switch storage {
        case .numbers(let number, let stride):
            guard stride == columns else { return nil }
            (start, row, format) = (base, range.lowerBound, number.keyFormat)
        case .blocks(let layout, let pages, let byteCount):
            let (block, inside) = range.lowerBound.quotientAndRemainder(dividingBy: layout.blockRows)
            guard inside + range.count <= layout.blockRows else { return nil }
            (start, row) = (base + Int(pages[block]) * byteCount, inside)
            switch layout.encoding {
            case .numbers(let number): format = number.keyFormat
            case .packedKeys where columns <= QuantizedRows.blockColumns:
                format = .float8
                scales = start + layout.blockRows * columns + inside * MemoryLayout<Float>.size
            case .packedKeys, .packedLatents: return nil
            }
        }
        let rowBytes = columns * format.byteCount
        let bytes = UnsafeRawBufferPointer(start: start + row * rowBytes, count: range.count * rowBytes)
        return Stored(format: format, bytes: bytes, scales: scales)
    }

    /// Copies the rows at `positions` in float32, one after the other.
    ///
    /// - Precondition: every position is a row.
    package func gather(_ positions: ArraySlice<Int32>, into output: MutableMatrixView) {
        precondition(output.rows >= positions.count && output.columns == columns)
        for (row, position) in positions.enumerated() {
            precondition(position >= 0 && position < rows)
            widen(Int(position), into: output[row])
        }
    }

    private func widen(_ row: Int, into output: UnsafeMutablePointer<Float>) {
        switch storage {
        case .numbers(.float32, let stride):
            output.update(from: base.assumingMemoryBound(to: Float.self) + row * stride, count: columns)
        case .numbers(.bfloat16, let stride):
            let source = base.assumingMemoryBound(to: UInt16.self) + row * stride
            Kernels.widen(bfloat16: source, into: output, count: columns)
        case .blocks(let layout, let pages, let byteCount):
            let (block, inside) = row.quotientAndRemainder(dividingBy: layout.blockRows)
            layout.read(inside, of: base + Int(pages[block]) * byteCount, into: output)
        }
    }
}

/// How numbers are stored, or rounded as if they were.
public enum StorageFormat: String, Equatable, Sendable, CaseIterable {
    /// Four bytes, exact.
    case float32
    /// Two bytes, rounded to nearest, ties to even.
    case bfloat16

    /// The size of one number in bytes.
    public var byteCount: Int {
        switch self {
        case .float32: 4
        case .bfloat16: 2
        }
    }
}

extension StorageFormat {
    fileprivate var keyFormat: Kernels.KeyFormat {
        switch self {
        case .float32: .float32
        case .bfloat16: .bfloat16
        }
    }
}

extension Tensor {
    /// Lends the tensor's rows: the last dimension gives the columns, all others the rows.
    package func withRows<Result, Failure: Error>(
        _ body: (RowsView) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        try withMatrix { matrix throws(Failure) in try body(RowsView(matrix)) }
    }
}

extension RowsView {
    /// All rows in float32, copied.
    package func widened() -> Tensor {
        var tensor = Tensor(uninitialized: [rows, columns])
        tensor.withMutableMatrix { output in
            for row in 0..<rows {
                widen(row, into: output[row])
            }
        }
        return tensor
    }
}

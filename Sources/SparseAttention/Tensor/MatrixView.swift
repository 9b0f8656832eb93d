/// A borrowed, read-only matrix of `Float`: rows of contiguous elements, `stride` elements apart.
package struct MatrixView: @unchecked Sendable {
    // Sendable: read-only, and lent by its owner for the duration of a call.

    /// The first element of the first row.
    package let base: UnsafePointer<Float>
    /// The number of rows.
    package let rows: Int
    /// The number of elements in a row.
    package let columns: Int
    /// Elements from the start of one row to the start of the next.
    package let stride: Int

    /// Lends `rows` rows of `columns` elements.
    package init(base: UnsafePointer<Float>, rows: Int, columns: Int, stride: Int) {
        precondition(rows >= 0 && columns >= 0 && (stride >= columns || rows <= 1))
        self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    /// The start of a row.
    package subscript(row: Int) -> UnsafePointer<Float> {
        assert(row >= 0 && row < rows)
        return base + row * stride
    }

    /// Some of the rows.
    package func rows(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return MatrixView(
            base: base + range.lowerBound * stride,
            rows: range.count,
            columns: columns,
            stride: stride
        )
    }

    /// Some of the columns.
    package func columns(_ range: Range<Int>) -> MatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return MatrixView(base: base + range.lowerBound, rows: rows, columns: range.count, stride: stride)
    }

    /// The same memory as rows of another length; only for a matrix without gaps.
    package func reshaped(rows: Int, columns: Int) -> MatrixView {
        precondition(stride == self.columns && rows * columns == self.rows * self.columns)
        return MatrixView(base: base, rows: rows, columns: columns, stride: columns)
    }
}

/// A borrowed, writable matrix of `Float`: rows of contiguous elements, `stride` elements apart.
package struct MutableMatrixView: @unchecked Sendable {
    // Sendable: parallel regions write disjoint rows or columns of it.

    /// The first element of the first row.
    package let base: UnsafeMutablePointer<Float>
    /// The number of rows.
    package let rows: Int
    /// The number of elements in a row.
    package let columns: Int
    /// Elements from the start of one row to the start of the next.
    package let stride: Int

    /// Lends `rows` rows of `columns` elements.
    package init(base: UnsafeMutablePointer<Float>, rows: Int, columns: Int, stride: Int) {
        precondition(rows >= 0 && columns >= 0 && (stride >= columns || rows <= 1))
        self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    /// The start of a row.
    package subscript(row: Int) -> UnsafeMutablePointer<Float> {
        assert(row >= 0 && row < rows)
        return base + row * stride
    }

    /// Some of the rows.
    package func rows(_ range: Range<Int>) -> MutableMatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return MutableMatrixView(
            base: base + range.lowerBound * stride,
            rows: range.count,
            columns: columns,
            stride: stride
        )
    }

    /// Some of the columns.
    package func columns(_ range: Range<Int>) -> MutableMatrixView {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        return MutableMatrixView(
            base: base + range.lowerBound,
            rows: rows,
            columns: range.count,
            stride: stride
        )
    }

    /// The same memory as rows of another length; only for a matrix without gaps.
    package func reshaped(rows: Int, columns: Int) -> MutableMatrixView {
        precondition(stride == self.columns && rows * columns == self.rows * self.columns)
        return MutableMatrixView(base: base, rows: rows, columns: columns, stride: columns)
    }

    /// The same memory, to read.
    package var view: MatrixView {
        MatrixView(base: base, rows: rows, columns: columns, stride: stride)
    }

    /// Copies a matrix of the same size.
    package func copy(from source: MatrixView) {
        precondition(source.rows == rows && source.columns == columns)
        for row in 0..<rows {
            self[row].update(from: source[row], count: columns)
        }
    }

    /// Sets every element.
    package func fill(_ value: Float) {
        for row in 0..<rows {
            self[row].update(repeating: value, count: columns)
        }
    }
}

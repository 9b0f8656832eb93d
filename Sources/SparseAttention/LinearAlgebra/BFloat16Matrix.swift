/// A borrowed, writable matrix of bfloat16: the left factor of a product.
///
/// Rows lie an even number of elements apart; where the number of columns is odd, a zero follows each row.
package struct BFloat16Matrix: @unchecked Sendable {
    // Sendable: parallel regions write disjoint rows of it.

    /// The first element of the first row.
    package let base: UnsafeMutablePointer<UInt16>
    /// The number of rows.
    package let rows: Int
    /// The number of elements in a row.
    package let columns: Int
    /// Elements from the start of one row to the start of the next, even.
    package let stride: Int

    /// Lends `rows` rows of `columns` elements.
    package init(base: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int, stride: Int) {
        precondition(rows >= 0 && columns >= 0 && stride >= columns && stride % 2 == 0)
        self.base = base
        self.rows = rows
        self.columns = columns
        self.stride = stride
    }

    /// Takes a matrix from working memory.
    package init(rows: Int, columns: Int, scratch: Scratch) {
        let stride = Self.stride(columns: columns)
        let base = scratch.array(of: UInt16.self, count: rows * stride)
        self.init(base: base, rows: rows, columns: columns, stride: stride)
    }

    /// Floats of working memory for a matrix.
    package static func scratchFloats(rows: Int, columns: Int) -> Int {
        rows * stride(columns: columns) / 2
    }

    /// The stride of rows without unneeded gaps.
    package static func stride(columns: Int) -> Int {
        (columns + 1) & ~1
    }

    /// The start of a row.
    package subscript(row: Int) -> UnsafeMutablePointer<UInt16> {
        assert(row >= 0 && row < rows)
        return base + row * stride
    }

    /// Some of the rows.
    package func rows(_ range: Range<Int>) -> BFloat16Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= rows)
        return BFloat16Matrix(
            base: base + range.lowerBound * stride,
            rows: range.count,
            columns: columns,
            stride: stride
        )
    }

    /// Some of the columns: an even number, or all up to the last.
    package func columns(_ range: Range<Int>) -> BFloat16Matrix {
        precondition(range.lowerBound >= 0 && range.upperBound <= columns)
        precondition(range.count % 2 == 0 || range.upperBound == columns)
        return BFloat16Matrix(
            base: base + range.lowerBound,
            rows: rows,
            columns: range.count,
            stride: stride
        )
    }

    /// Rounds a row, and puts a zero behind it where the number of columns is odd.
    package func setRow(_ row: Int, rounding source: UnsafePointer<Float>) {
        Kernels.round(source, toBFloat16: self[row], count: columns)
        if columns % 2 == 1 { self[row][columns] = 0 }
    }

    /// Rounds a matrix of the same size.
    package func round(_ source: MatrixView) {
        precondition(source.rows == rows && source.columns == columns)
        for row in 0..<rows {
            setRow(row, rounding: source[row])
        }
    }
}

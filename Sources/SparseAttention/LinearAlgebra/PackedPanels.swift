/// A borrowed right factor `[rows, columns]` of a product of bfloat16, packed for the kernels.
///
/// Panels of 48 columns lie one after the other, each `[⌈rows / 2⌉][48][2]`: two rows of a column side by side, as
/// the dot product of pairs takes them.
///
/// Source: the packing of Goto and van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
package struct PackedPanels: @unchecked Sendable {
    // Sendable: each worker packs its own.

    /// The number of rows: terms of a sum.
    package let rows: Int
    /// The number of columns: results of a row.
    package let columns: Int

    private let base: UnsafeMutablePointer<UInt16>
    private let panelStride: Int

    private init(base: UnsafeMutablePointer<UInt16>, rows: Int, columns: Int, panelStride: Int) {
        self.base = base
        self.rows = rows
        self.columns = columns
        self.panelStride = panelStride
    }

    /// Takes room for a factor from working memory.
    package init(rows: Int, columns: Int, scratch: Scratch) {
        let count = Self.scratchFloats(rows: rows, columns: columns) * 2
        let base = scratch.array(of: UInt16.self, count: count)
        self.init(base: base, rows: rows, columns: columns, panelStride: Self.stride(rows: rows))
    }

    /// Floats of working memory for a factor.
    package static func scratchFloats(rows: Int, columns: Int) -> Int {
        tileCount(columns, Kernels.panelColumns) * stride(rows: rows) / 2
    }

    private static func stride(rows: Int) -> Int {
        (rows + 1) / 2 * 2 * Kernels.panelColumns
    }

    /// The same memory for a factor that needs no more of it.
    package func resized(rows: Int, columns: Int) -> PackedPanels {
        precondition(
            Self.scratchFloats(rows: rows, columns: columns)
                <= Self.scratchFloats(rows: self.rows, columns: self.columns)
        )
        return PackedPanels(base: base, rows: rows, columns: columns, panelStride: Self.stride(rows: rows))
    }

    /// Some of the rows; the range starts at an even row, and ends at one or with the last.
    package func rows(_ range: Range<Int>) -> PackedPanels {
        precondition(range.lowerBound >= 0 && range.lowerBound % 2 == 0 && range.upperBound <= rows)
        precondition(range.upperBound % 2 == 0 || range.upperBound == rows)
        return PackedPanels(
            base: base + range.lowerBound * Kernels.panelColumns,
            rows: range.count,
            columns: columns,
            panelStride: panelStride
        )
    }

    /// Packs from one pointer for each column, to `rows` numbers.
    ///
    /// This is the transpose of a matrix given by its rows.
    package func pack(columns pointers: UnsafePointer<UnsafePointer<UInt16>?>) {
        assert(panelStride == Self.stride(rows: rows))
        Kernels.pack(columns: pointers, count: columns, length: rows, into: base)
    }

    /// Packs from one pointer for each row, to `columns` numbers.
    package func pack(rows pointers: UnsafePointer<UnsafePointer<UInt16>?>) {
        assert(panelStride == Self.stride(rows: rows))
        Kernels.pack(rows: pointers, count: rows, length: columns, into: base)
    }

    /// `output = left · self`, or the same added to `output`; on the calling thread.
    ///
    /// Each element is one float32 sum, terms ascending two by two: it does not depend on the number of rows or
    /// columns, nor on how the terms are split into calls that accumulate.
    ///
    /// - Parameters:
    ///   - left: `[n, rows]`.
    ///   - factors: `[columns]`, what the products (not `output`) are multiplied by; nil for 1.
    ///   - accumulating: whether the product is added to `output`.
    ///   - output: `[n, columns]`, overwritten unless `accumulating`.
    package func multiply(
        _ left: BFloat16Matrix,
        factors: UnsafePointer<Float>? = nil,
        accumulating: Bool = false,
        into output: MutableMatrixView
    ) {
        precondition(left.columns == rows && output.rows == left.rows && output.columns == columns)
        Kernels.multiply(
            left,
            panels: base,
            panelStride: panelStride,
            factors: factors,
            accumulating: accumulating,
            into: output
        )
    }
}

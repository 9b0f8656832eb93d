package import SparseAttention

/// The sizes of an attention over selected rows, and the seed of its arguments.
package struct SelectionCase: Hashable, Sendable {
    /// Query tokens, the last of the sequence.
    package let queryTokens: Int
    /// Rows of the sequence.
    package let keyTokens: Int
    /// Query heads.
    package let heads: Int
    /// The width of a row.
    package let rowDim: Int
    /// The leading columns of a row that are its value.
    package let valueDim: Int
    /// Slots of a query token.
    package let slots: Int
    /// The most slots in use.
    package let used: Int
    /// The seed of queries, rows and selection.
    package let seed: UInt64

    /// No slots, no slot in use, fewer keys than slots, several tiles, and selections split into parts.
    package static let all: [SelectionCase] = [
        SelectionCase(1, 1, heads: 1, row: 1, value: 1, slots: 1, used: 1, seed: 1),
        SelectionCase(3, 63, heads: 2, row: 7, value: 5, slots: 13, used: 11, seed: 2),
        SelectionCase(17, 100, heads: 3, row: 8, value: 8, slots: 31, used: 31, seed: 3),
        SelectionCase(5, 40, heads: 2, row: 6, value: 1, slots: 64, used: 64, seed: 4),
        SelectionCase(2, 9, heads: 2, row: 3, value: 2, slots: 0, used: 0, seed: 5),
        SelectionCase(2, 9, heads: 2, row: 3, value: 2, slots: 5, used: 0, seed: 6),
        SelectionCase(1, 700, heads: 2, row: 3, value: 2, slots: 600, used: 590, seed: 7),
        SelectionCase(16, 300, heads: 1, row: 2, value: 2, slots: 270, used: 263, seed: 8),
        SelectionCase(0, 4, heads: 2, row: 3, value: 2, slots: 3, used: 3, seed: 9),
    ]

    /// What scores are multiplied by.
    package var scale: Float { 1 / Float(rowDim).squareRoot() }

    /// `[queryTokens, heads, rowDim]` queries and `[keyTokens, rowDim]` rows.
    package var tensors: (queries: Tensor, rows: Tensor) {
        var generator = SeededGenerator(seed: seed)
        return (
            generator.tensor(Shape(trusted: [queryTokens, heads, rowDim]), magnitude: 2),
            generator.tensor(Shape(trusted: [keyTokens, rowDim]), magnitude: 2)
        )
    }

    /// Visible positions in random order, unused slots among them.
    package func selection() throws(SparseAttentionError) -> TokenSelection {
        var generator = SeededGenerator(seed: ~seed)
        return try generator.selection(
            queryTokens: queryTokens,
            slots: slots,
            position: keyTokens - queryTokens,
            used: used
        )
    }

    private init(
        _ queryTokens: Int,
        _ keyTokens: Int,
        heads: Int,
        row: Int,
        value: Int,
        slots: Int,
        used: Int,
        seed: UInt64
    ) {
        self.queryTokens = queryTokens
        self.keyTokens = keyTokens
        self.heads = heads
        rowDim = row
        valueDim = value
        self.slots = slots
        self.used = used
        self.seed = seed
    }
}

/// One worker's memory for some query rows and a tile of rows that are keys and, in their first columns, values.
///
/// Rows are read once in bfloat16 and packed twice: as columns for the scores, as rows for the weighted sums.
final class RoundedTile {
    /// Keys in one tile: with 128 queries of DeepSeek-V3.2, panels, scores and sums take three quarters of a
    /// second-level cache of 1 MiB.
    static let keys = 128

    private let softmax: RoundedSoftmax

    private let queries: BFloat16Matrix  // [rows, keyDim]
    private let keyRoom: BFloat16Matrix  // [keys, keyDim], for keys stored in another format
    private let valueRoom: BFloat16Matrix  // [keys, valueDim], likewise
    private let keyPointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>  // [keys]
    private let valuePointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>  // [keys]
    private let keyPanels: PackedPanels  // [keyDim, keys]
    private let valuePanels: PackedPanels  // [keys, valueDim]
    private let scores: MutableMatrixView  // [rows, keys]
    private let probabilities: BFloat16Matrix  // [rows, keys]
    private let visible: UnsafeMutablePointer<Int>  // [rows]
    private let scratch: Scratch
    private var rows = 0

    /// Memory for `rows` query rows; `separateValues` when values are rows of their own.
    init(rows: Int, keyDim: Int, valueDim: Int, separateValues: Bool, scale: Float) {
        let keys = Self.keys
        let valueRows = separateValues ? keys : 0
        scratch = Scratch(
            floats: BFloat16Matrix.scratchFloats(rows: rows + keys, columns: keyDim)
                + BFloat16Matrix.scratchFloats(rows: valueRows, columns: valueDim) + 4 * keys + 2 * rows
                + PackedPanels.scratchFloats(rows: keyDim, columns: keys)
                + PackedPanels.scratchFloats(rows: keys, columns: valueDim) + rows * keys
                + BFloat16Matrix.scratchFloats(rows: rows, columns: keys)
                + RoundedSoftmax.scratchFloats(rows: rows, valueDim: valueDim),
            matrices: 13
        )
        queries = BFloat16Matrix(rows: rows, columns: keyDim, scratch: scratch)
        keyRoom = BFloat16Matrix(rows: keys, columns: keyDim, scratch: scratch)
        valueRoom = BFloat16Matrix(rows: valueRows, columns: valueDim, scratch: scratch)
        keyPointers = scratch.array(of: UnsafePointer<UInt16>?.self, count: keys)
        valuePointers = scratch.array(of: UnsafePointer<UInt16>?.self, count: keys)
        keyPanels = PackedPanels(rows: keyDim, columns: keys, scratch: scratch)
        valuePanels = PackedPanels(rows: keys, columns: valueDim, scratch: scratch)
        scores = scratch.matrix(rows: rows, columns: keys)
        probabilities = BFloat16Matrix(rows: rows, columns: keys, scratch: scratch)
        visible = scratch.array(of: Int.self, count: rows)
        softmax = RoundedSoftmax(rows: rows, valueDim: valueDim, scale: scale, scratch: scratch)
    }

    /// Writes the results of one query row.
    func finish(row: Int, into result: AttentionResult.Rows, at index: Int) {
        softmax.finish(row: row, into: result, at: index)
    }

    /// Rounds query rows behind those already loaded since `begin`.
    func load(_ source: MatrixView) {
        queries.rows(rows..<rows + source.rows).round(source)
        rows += source.rows
    }

    /// Forgets queries and keys, and makes ready for `rows` query rows.
    func begin(rows: Int) {
        self.rows = 0
        softmax.reset(rows: rows)
    }

    /// Attends to a tile of keys.
    ///
    /// - Parameters:
    ///   - keys: where keys lie, and values in their first columns unless `values` is given.
    ///   - positions: at most `RoundedTile.keys` of their rows.
    ///   - next: the rows of the tile after this one, fetched while it is computed.
    ///   - values: where values lie.
    ///   - limit: how many of the keys a query row sees; nil when each sees all.
    func attend(
        to keys: RowsView,
        at positions: some Collection<Int>,
        next: some Collection<Int>,
        values: RowsView?,
        visible limit: ((_ row: Int) -> Int)?
    ) {
        let count = positions.count
        let (width, valueDim) = (queries.columns, valuePanels.columns)
        keys.round(positions, room: keyRoom, into: keyPointers)
        values?.round(positions, room: valueRoom, into: valuePointers)
        let valueRows = UnsafePointer(values == nil ? keyPointers : valuePointers)
        keys.prefetch(next)
        let packedKeys = keyPanels.resized(rows: width, columns: count)
        packedKeys.pack(columns: UnsafePointer(keyPointers))
        let packedValues = valuePanels.resized(rows: count, columns: valueDim)
        packedValues.pack(rows: valueRows)
        let tile = MutableMatrixView(base: scores.base, rows: rows, columns: count, stride: count)
        packedKeys.multiply(queries.rows(0..<rows), into: tile)
        var isBroken = false
        if let limit {
            for row in 0..<rows {
                visible[row] = limit(row)
            }
            isBroken = !valueRows.areFinite(count: count, columns: valueDim)
        }
        softmax.add(
            scores: tile,
            visible: limit == nil ? nil : UnsafePointer(visible),
            probabilities: probabilities,
            values: packedValues,
            brokenValues: isBroken ? valueRows : nil
        )
    }
}

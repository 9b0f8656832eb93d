/// The keys of one key head, and its values: rows of their own, or the first columns of the keys.
struct KeyHead: Sendable {
    let keys: RowsView  // [keyTokens, headDim]
    let values: RowsView?  // [keyTokens, valueDim]
}

/// One worker's memory for a tile of queries, and the loop over keys.
protocol QueryTile: SendableMetatype {
    /// Packs the query rows of a group of heads, token by token.
    func load(_ source: MatrixView, tokens: Range<Int>, heads: Range<Int>, of allHeads: Int)
    /// Goes through a range of keys; the first token sees keys below `firstVisible`, each next one more.
    func attend(_ head: KeyHead, keys range: Range<Int>, firstVisible: Int, group: Int)
    /// Writes the results of one row.
    func finish(row: Int, into result: AttentionResult.Rows, at index: Int)
}

extension RoundedTile: QueryTile {
    func load(_ source: MatrixView, tokens: Range<Int>, heads: Range<Int>, of allHeads: Int) {
        begin(rows: tokens.count * heads.count)
        for token in tokens {
            load(source.rows(token * allHeads + heads.lowerBound..<token * allHeads + heads.upperBound))
        }
    }

    func attend(_ head: KeyHead, keys range: Range<Int>, firstVisible: Int, group: Int) {
        for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.keys) {
            let tile = start..<min(start + Self.keys, range.upperBound)
            let limit = { (row: Int) in min(max(firstVisible + row / group - tile.lowerBound, 0), tile.count)
            }
            attend(
                to: head.keys,
                at: tile,
                next: tile.upperBound..<min(tile.upperBound + Self.keys, range.upperBound),
                values: head.values,
                visible: tile.upperBound <= firstVisible ? nil : limit
            )
        }
    }
}

/// The same in float32.
final class TileMemory: QueryTile {
    let softmax: OnlineSoftmax

    private let queries: MutableMatrixView  // [rows, headDim]
    private let scores: MutableMatrixView  // [rows, keys]
    private let keyTile: MutableMatrixView  // [keys, headDim], for keys stored in another format
    private let valueTile: MutableMatrixView  // [keys, valueDim], likewise
    private let visible: UnsafeMutablePointer<Int>  // [rows]
    private let scratch: Scratch
    private var rows = 0
    private let valueDim: Int

    init(
        rows: Int,
        keys: Int,
        keyHead: KeyHead,
        valueDim: Int,
        scale: Float,
        activations: StorageFormat
    ) {
        let headDim = keyHead.keys.columns
        let keyFloats = keyHead.keys.scratchFloats(rows: keys)
        let valueFloats = keyHead.values?.scratchFloats(rows: keys) ?? 0
        scratch = Scratch(
            floats: rows * (headDim + keys) + keyFloats + valueFloats
                + OnlineSoftmax.scratchFloats(rows: rows, valueDim: valueDim)
        )
        queries = scratch.matrix(rows: rows, columns: headDim)
        scores = scratch.matrix(rows: rows, columns: keys)
        keyTile = scratch.matrix(rows: keyFloats == 0 ? 0 : keys, columns: headDim)
        valueTile = scratch.matrix(rows: valueFloats == 0 ? 0 : keys, columns: valueDim)
        softmax = OnlineSoftmax(
            rows: rows,
            valueDim: valueDim,
            scale: scale,
            activations: activations,
            scratch: scratch
        )
        visible = .allocate(capacity: rows)
        self.valueDim = valueDim
    }

    deinit {
        visible.deallocate()
    }

    func load(_ source: MatrixView, tokens: Range<Int>, heads: Range<Int>, of allHeads: Int) {
        let group = heads.count
        rows = tokens.count * group
        for (index, token) in tokens.enumerated() {
            let block = source.rows(token * allHeads + heads.lowerBound..<token * allHeads + heads.upperBound)
            queries.rows(index * group..<(index + 1) * group).copy(from: block)
        }
        softmax.reset(rows: rows)
    }

    func finish(row: Int, into result: AttentionResult.Rows, at index: Int) {
        softmax.finish(row: row, into: result, at: index)
    }

    func attend(_ head: KeyHead, keys range: Range<Int>, firstVisible: Int, group: Int) {
        guard !range.isEmpty else { return }
        for pass in OnlineSoftmax.passes(softmax.activations) {
            for start in stride(from: range.lowerBound, to: range.upperBound, by: scores.columns) {
                let tile = start..<min(start + scores.columns, range.upperBound)
                let keys = head.keys.tile(tile, scratch: keyTile)
                let values = head.values?.tile(tile, scratch: valueTile) ?? keys.columns(0..<valueDim)
                let tileScores = MutableMatrixView(
                    base: scores.base,
                    rows: rows,
                    columns: tile.count,
                    stride: tile.count
                )
                BLAS.multiply(queries.rows(0..<rows).view, transposed: keys, into: tileScores)
                let isWhole = tile.upperBound <= firstVisible
                if !isWhole {
                    for row in 0..<rows {
                        visible[row] = min(max(firstVisible + row / group - tile.lowerBound, 0), tile.count)
                    }
                }
                softmax.add(
                    scores: tileScores,
                    visible: isWhole ? nil : UnsafePointer(visible),
                    hidesKeys: false,
                    values: values,
                    pass: pass
                )
            }
        }
    }
}

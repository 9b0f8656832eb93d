/// The scores of a chunk of queries, computed tile by tile and consumed row by row.
///
/// A tile of logits is one matrix product; its rows are cut off at 0, weighted and added up while the tile is
/// in cache. Nothing of size heads × keys or queries × keys is kept.
struct IndexScores: Sendable {
    let queries: Tensor  // [queryTokens, heads, headDim]
    let weights: Tensor  // [queryTokens, heads], all constants folded in
    let keys: RowsView  // [keyTokens, headDim]
    let keyScales: MatrixView?  // [1, keyTokens], applied to each sum
    let workers: Workers

    /// Keys in one tile of logits.
    private static let tileKeys = 512
    /// Query tokens whose scores one worker holds at a time.
    private static let tileTokens = 4
    /// With fewer tiles of queries than this, keys are split over the workers instead.
    private static let enoughTiles = 8

    private var heads: Int { queries.shape[1] }
    private var queryTokens: Int { queries.shape[0] }

    /// Selects the best keys of each query token; the token at row `i` sees `position + i + 1` keys.
    func select(_ topK: TopK, visible: Int, position: Int) -> TokenSelection {
        let slots = min(topK.count, visible)
        var positions = [Int32](repeating: TokenSelection.unused, count: queryTokens * slots)
        positions.withUnsafeMutableBufferPointer { buffer in
            let rows = SelectionRows(buffer: buffer, slots: slots)
            let tiles = tileCount(queryTokens, Self.tileTokens)
            if tiles >= Self.enoughTiles {
                workers.run(
                    tiles: tiles,
                    scratch: { ScoreMemory(tokens: Self.tileTokens, columns: visible, scores: self) },
                    { tile, memory in
                        let tokens = tile * Self.tileTokens..<min((tile + 1) * Self.tileTokens, queryTokens)
                        let scores = memory.scores.rows(0..<tokens.count)
                        compute(tokens, keys: 0..<position + tokens.upperBound, memory: memory, into: scores)
                        for (row, token) in tokens.enumerated() {
                            rows.select(topK, scores[row], count: position + token + 1, row: token)
                        }
                    }
                )
            } else {
                let scores = all(visible: visible, position: position)
                scores.withMatrix { scores in
                    workers.run(tiles: queryTokens) { token in
                        rows.select(topK, scores[token], count: position + token + 1, row: token)
                    }
                }
            }
        }
        return TokenSelection(trusted: positions, queryTokens: queryTokens, slots: slots)
    }

    /// All scores, `[queryTokens, visible]`, −infinity where hidden.
    func all(visible: Int, position: Int) -> Tensor {
        var scores = Tensor(uninitialized: [queryTokens, visible])
        let keyTiles = tileCount(visible, Self.tileKeys)
        scores.withMutableMatrix { scores in
            workers.run(
                tiles: tileCount(queryTokens, Self.tileTokens) * keyTiles,
                scratch: { ScoreMemory(tokens: Self.tileTokens, columns: 0, scores: self) },
                { index, memory in
                    let (tile, keyTile) = (index / keyTiles, index % keyTiles)
                    let tokens = tile * Self.tileTokens..<min((tile + 1) * Self.tileTokens, queryTokens)
                    let keys = keyTile * Self.tileKeys..<min((keyTile + 1) * Self.tileKeys, visible)
                    let target = scores.rows(tokens).columns(keys)
                    compute(tokens, keys: keys, memory: memory, into: target)
                    for (row, token) in tokens.enumerated() {
                        let hidden = max(position + token + 1 - keys.lowerBound, 0)
                        if hidden < keys.count {
                            (target[row] + hidden).update(repeating: -.infinity, count: keys.count - hidden)
                        }
                    }
                }
            )
        }
        return scores
    }

    /// Scores a range of keys for a tile of query tokens.
    ///
    /// `output` is `[tokens, keys]`, overwritten.
    private func compute(
        _ tokens: Range<Int>,
        keys range: Range<Int>,
        memory: ScoreMemory,
        into output: MutableMatrixView
    ) {
        queries.withMatrix { queries in
            weights.withMatrix { weights in
                let rows = queries.rows(tokens.lowerBound * heads..<tokens.upperBound * heads)
                for start in stride(from: range.lowerBound, to: range.upperBound, by: Self.tileKeys) {
                    let tile = start..<min(start + Self.tileKeys, range.upperBound)
                    let logits = MutableMatrixView(
                        base: memory.logits.base,
                        rows: rows.rows,
                        columns: tile.count,
                        stride: tile.count
                    )
                    BLAS.multiply(rows, transposed: keys.tile(tile, scratch: memory.keyTile), into: logits)
                    for (row, token) in tokens.enumerated() {
                        let target = output[row] + (tile.lowerBound - range.lowerBound)
                        Kernels.reluWeightedSum(
                            logits: logits.view.rows(row * heads..<(row + 1) * heads),
                            weights: weights[token],
                            into: target
                        )
                        if let keyScales {
                            for key in 0..<tile.count {
                                target[key] *= keyScales.base[tile.lowerBound + key]
                            }
                        }
                    }
                }
            }
        }
    }

    /// One worker's memory.
    private final class ScoreMemory {
        let scores: MutableMatrixView  // [tokens, columns]
        let logits: MutableMatrixView  // [tokens · heads, tileKeys]
        let keyTile: MutableMatrixView  // [tileKeys, headDim], for keys stored in another format
        private let scratch: Scratch

        init(tokens: Int, columns: Int, scores: IndexScores) {
            let keyFloats = scores.keys.scratchFloats(rows: IndexScores.tileKeys)
            scratch = Scratch(
                floats: tokens * columns + tokens * scores.heads * IndexScores.tileKeys + keyFloats
            )
            self.scores = scratch.matrix(rows: tokens, columns: columns)
            logits = scratch.matrix(rows: tokens * scores.heads, columns: IndexScores.tileKeys)
            keyTile = scratch.matrix(
                rows: keyFloats == 0 ? 0 : IndexScores.tileKeys,
                columns: scores.keys.columns
            )
        }
    }

    /// Where selections are written.
    private struct SelectionRows: @unchecked Sendable {
        // Sendable: each tile writes the rows of its own query tokens.
        let buffer: UnsafeMutableBufferPointer<Int32>
        let slots: Int

        func select(_ topK: TopK, _ scores: UnsafePointer<Float>, count: Int, row: Int) {
            let scores = UnsafeBufferPointer(start: scores, count: count)
            var target = UnsafeMutableBufferPointer(rebasing: buffer[row * slots..<(row + 1) * slots])
                .mutableSpan
            topK.select(scores.span, into: &target)
        }

        func select(_ topK: TopK, _ scores: UnsafeMutablePointer<Float>, count: Int, row: Int) {
            select(topK, UnsafePointer(scores), count: count, row: row)
        }
    }
}

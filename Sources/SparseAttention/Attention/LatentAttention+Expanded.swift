extension LatentAttention {
    /// Query tokens in one tile: each expanded tile of keys serves all of them.
    private static let tileTokens = 256
    /// Keys in one tile: expanded and consumed while in cache.
    private static let tileKeys = 256

    /// Ordinary multi-head attention over keys and values formed from the latents tile by tile.
    ///
    /// A selection hides the keys it does not hold. The expanded sequence is never kept.
    func attendExpanded(
        _ queries: Tensor,
        to rows: RowsView,
        through projection: KeyValueProjection,
        at selection: TokenSelection?,
        position: Int
    ) -> AttentionResult {
        let sizes = dimensions
        let queryTokens = queries.shape[0]
        let tiles = tileCount(queryTokens, Self.tileTokens)
        let chosen = selection.map { $0.sets }
        var result = AttentionResult(queryTokens: queryTokens, heads: sizes.heads, valueDim: sizes.valueDim)
        result.withRows { result in
            queries.withMatrix { queries in
                let queries = queries.reshaped(rows: queryTokens, columns: sizes.heads * sizes.queryDim)
                workers.run(
                    tiles: sizes.heads * tiles,
                    scratch: {
                        ExpandedMemory(
                            tokens: min(Self.tileTokens, queryTokens),
                            keys: Self.tileKeys,
                            rows: rows,
                            sizes: sizes,
                            scale: scale
                        )
                    },
                    { index, memory in
                        let (head, tile) = (index / tiles, index % tiles)
                        let tokens = tile * Self.tileTokens..<min((tile + 1) * Self.tileTokens, queryTokens)
                        memory.load(projection.weight, head: head)
                        memory.attend(
                            queries.rows(tokens).columns(head * sizes.queryDim..<(head + 1) * sizes.queryDim),
                            to: rows,
                            position: position + tokens.lowerBound,
                            chosen: chosen.map { $0[tokens] }
                        )
                        for (row, token) in tokens.enumerated() {
                            memory.softmax.finish(row: row, into: result, at: token * sizes.heads + head)
                        }
                    }
                )
            }
        }
        return result
    }
}

/// One worker's memory for one head and a tile of query tokens, and the loop over keys.
private final class ExpandedMemory {
    let softmax: OnlineSoftmax

    private let sizes: LatentAttention.Dimensions
    private let weight: MutableMatrixView  // [nopeDim + valueDim, latentDim], one head's
    private let latents: MutableMatrixView  // [keys, rowDim], for rows stored in another format
    private let expanded: MutableMatrixView  // [keys, nopeDim + valueDim]
    private let scores: MutableMatrixView  // [tokens, keys]
    private let visible: UnsafeMutablePointer<Int>  // [tokens]
    private let kept: UnsafeMutablePointer<Float>  // [keys], selected scores of one row
    private let scratch: Scratch

    init(tokens: Int, keys: Int, rows: RowsView, sizes: LatentAttention.Dimensions, scale: Float) {
        let latentFloats = rows.scratchFloats(rows: keys)
        scratch = Scratch(
            floats: sizes.projectionRows * (sizes.latentDim + keys) + latentFloats + tokens * keys + keys
                + OnlineSoftmax.scratchFloats(rows: tokens, valueDim: sizes.valueDim)
        )
        self.sizes = sizes
        weight = scratch.matrix(rows: sizes.projectionRows, columns: sizes.latentDim)
        latents = scratch.matrix(rows: latentFloats == 0 ? 0 : keys, columns: sizes.rowDim)
        expanded = scratch.matrix(rows: keys, columns: sizes.projectionRows)
        scores = scratch.matrix(rows: tokens, columns: keys)
        kept = scratch.matrix(rows: 1, columns: keys).base
        softmax = OnlineSoftmax(rows: tokens, valueDim: sizes.valueDim, scale: scale, scratch: scratch)
        visible = .allocate(capacity: tokens)
    }

    deinit {
        visible.deallocate()
    }

    /// Widens one head's part of the projection.
    func load(_ projection: WeightMatrix, head: Int) {
        let start = head * sizes.projectionRows
        projection.widen(start..<start + sizes.projectionRows, into: weight)
    }

    /// Goes through all keys visible to a tile of queries of one head.
    func attend(_ queries: MatrixView, to rows: RowsView, position: Int, chosen: ArraySlice<[Int32]>?) {
        softmax.reset(rows: queries.rows)
        let keyTokens = position + queries.rows
        for start in stride(from: 0, to: keyTokens, by: expanded.rows) {
            let tile = start..<min(start + expanded.rows, keyTokens)
            let latent = rows.tile(tile, scratch: latents)
            let keyValues = expanded.rows(0..<tile.count)
            BLAS.multiply(latent.columns(0..<sizes.latentDim), transposed: weight.view, into: keyValues)
            let tileScores = MutableMatrixView(
                base: scores.base,
                rows: queries.rows,
                columns: tile.count,
                stride: tile.count
            )
            BLAS.multiply(
                queries.columns(0..<sizes.nopeDim),
                transposed: keyValues.view.columns(0..<sizes.nopeDim),
                into: tileScores
            )
            BLAS.multiply(
                queries.columns(sizes.nopeDim..<sizes.queryDim),
                transposed: latent.columns(sizes.latentDim..<sizes.rowDim),
                accumulating: true,
                into: tileScores
            )
            let isWhole = tile.upperBound <= position + 1
            for row in 0..<queries.rows {
                visible[row] = min(max(position + row + 1 - tile.lowerBound, 0), tile.count)
            }
            if let chosen {
                for (row, positions) in chosen.enumerated() {
                    hideUnchosen(positions, tile: tile, scores: tileScores[row])
                }
            }
            softmax.add(
                scores: tileScores,
                visible: isWhole ? nil : UnsafePointer(visible),
                hidesKeys: chosen != nil,
                values: keyValues.view.columns(sizes.nopeDim..<sizes.projectionRows)
            )
        }
    }

    /// Sets every score of a row to −infinity but those at the chosen positions, which ascend.
    private func hideUnchosen(_ positions: [Int32], tile: Range<Int>, scores: UnsafeMutablePointer<Float>) {
        let first = positions.partitioningIndex { Int($0) >= tile.lowerBound }
        let last = positions.partitioningIndex { Int($0) >= tile.upperBound }
        for (index, position) in positions[first..<last].enumerated() {
            kept[index] = scores[Int(position) - tile.lowerBound]
        }
        scores.update(repeating: -.infinity, count: tile.count)
        for (index, position) in positions[first..<last].enumerated() {
            scores[Int(position) - tile.lowerBound] = kept[index]
        }
    }
}

extension [Int32] {
    /// The first index whose element satisfies a predicate that no element after it fails.
    fileprivate func partitioningIndex(where predicate: (Int32) -> Bool) -> Int {
        var (low, high) = (startIndex, endIndex)
        while low < high {
            let middle = low + (high - low) / 2
            if predicate(self[middle]) { high = middle } else { low = middle + 1 }
        }
        return low
    }
}

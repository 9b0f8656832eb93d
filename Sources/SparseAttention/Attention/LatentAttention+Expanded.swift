extension LatentAttention {
    /// Query tokens that share each expanded tile of keys: expanding costs them as much as a thirteenth of
    /// attending in DeepSeek-V3.2's dimensions.
    private static let sharingTokens = 1024
    /// Keys in one tile, whole words of a mask: expanded and consumed while in cache.
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
        let tokens = min(Self.sharingTokens, queries.shape[0])
        guard usedProducts == .float32 else {
            return attendExpanded(queries, to: rows, through: projection, at: selection, position: position) {
                RoundedExpandedMemory(tokens: tokens, keys: Self.tileKeys, attention: self)
            }
        }
        return attendExpanded(queries, to: rows, through: projection, at: selection, position: position) {
            ExpandedMemory(tokens: tokens, keys: Self.tileKeys, rows: rows, attention: self)
        }
    }

    private func attendExpanded<Memory: ExpandedTile>(
        _ queries: Tensor,
        to rows: RowsView,
        through projection: KeyValueProjection,
        at selection: TokenSelection?,
        position: Int,
        memory: @Sendable () -> Memory
    ) -> AttentionResult {
        let sizes = dimensions
        let queryTokens = queries.shape[0]
        let tiles = tileCount(queryTokens, Self.sharingTokens)
        let mask = selection.map { SelectionMask($0, keyTokens: rows.rows) }
        var result = AttentionResult(queryTokens: queryTokens, heads: sizes.heads, valueDim: sizes.valueDim)
        result.withRows { result in
            queries.withMatrix { queries in
                let queries = queries.reshaped(rows: queryTokens, columns: sizes.heads * sizes.queryDim)
                workers.run(
                    tiles: sizes.heads * tiles,
                    scratch: memory,
                    { index, memory in
                        let (head, tile) = (index / tiles, index % tiles)
                        let tokens =
                            tile * Self.sharingTokens..<min((tile + 1) * Self.sharingTokens, queryTokens)
                        let columns = head * sizes.queryDim..<(head + 1) * sizes.queryDim
                        memory.load(
                            queries.rows(tokens).columns(columns),
                            projection: projection.weight,
                            head: head
                        )
                        memory.attend(
                            tokens.count,
                            to: rows,
                            position: position + tokens.lowerBound,
                            mask: mask,
                            firstToken: tokens.lowerBound
                        )
                        for (row, token) in tokens.enumerated() {
                            memory.finish(token: row, into: result, at: token * sizes.heads + head)
                        }
                    }
                )
            }
        }
        return result
    }
}

/// One worker's memory for one head and some query tokens, and the loop over keys.
protocol ExpandedTile: SendableMetatype {
    /// Packs one head's queries, rotated part first, and its part of the projection.
    func load(_ source: MatrixView, projection: WeightMatrix, head: Int)
    /// Goes through all keys visible to the first `tokens` query tokens loaded, the first one at `position`; it is the
    /// mask's `firstToken`.
    func attend(_ tokens: Int, to rows: RowsView, position: Int, mask: SelectionMask?, firstToken: Int)
    /// Writes the result of one query token.
    func finish(token: Int, into result: AttentionResult.Rows, at index: Int)
}

/// The same in float32.
private final class ExpandedMemory: ExpandedTile {
    /// Query tokens in one tile of scores, which stays in the second-level cache.
    private static let tileTokens = 256

    private let attention: LatentAttention
    private let sizes: LatentAttention.Dimensions
    private let input: MutableMatrixView  // [keys, latentDim], quantized latents
    private let softmaxes: [OnlineSoftmax]  // one for each tile of tokens
    private let queries: MutableMatrixView  // [tokens, ropeDim + nopeDim], one head's
    private let weight: MutableMatrixView  // [nopeDim + valueDim, latentDim], one head's
    private let latents: MutableMatrixView  // [keys, rowDim], for rows stored in another format
    private let expanded: MutableMatrixView  // [keys, ropeDim + nopeDim + valueDim]
    private let scores: MutableMatrixView  // [tileTokens, keys]
    private let visible: UnsafeMutablePointer<Int>  // [tileTokens]
    private let scratch: Scratch

    init(tokens: Int, keys: Int, rows: RowsView, attention: LatentAttention) {
        let sizes = attention.dimensions
        let inputRows = attention.rounding.projectionInput == nil ? 0 : keys
        let latentFloats = rows.scratchFloats(rows: keys)
        let tiles = tileCount(tokens, Self.tileTokens)
        let tileTokens = min(tokens, Self.tileTokens)
        let expandedDim = sizes.queryDim + sizes.valueDim
        scratch = Scratch(
            floats: tokens * sizes.queryDim + sizes.projectionRows * sizes.latentDim + latentFloats
                + keys * expandedDim + tileTokens * keys + inputRows * sizes.latentDim
                + tiles * OnlineSoftmax.scratchFloats(rows: tileTokens, valueDim: sizes.valueDim),
            matrices: 7 + 3 * tiles
        )
        self.attention = attention
        self.sizes = sizes
        input = scratch.matrix(rows: inputRows, columns: sizes.latentDim)
        queries = scratch.matrix(rows: tokens, columns: sizes.queryDim)
        weight = scratch.matrix(rows: sizes.projectionRows, columns: sizes.latentDim)
        latents = scratch.matrix(rows: latentFloats == 0 ? 0 : keys, columns: sizes.rowDim)
        expanded = scratch.matrix(rows: keys, columns: expandedDim)
        scores = scratch.matrix(rows: tileTokens, columns: keys)
        softmaxes = (0..<tiles).map { [scratch] _ in
            OnlineSoftmax(
                rows: tileTokens,
                valueDim: sizes.valueDim,
                scale: attention.scale,
                activations: attention.rounding.activations,
                scratch: scratch
            )
        }
        visible = .allocate(capacity: tileTokens)
    }

    deinit {
        visible.deallocate()
    }

    func load(_ source: MatrixView, projection: WeightMatrix, head: Int) {
        let packed = queries.rows(0..<source.rows)
        packed.columns(0..<sizes.ropeDim).copy(from: source.columns(sizes.nopeDim..<sizes.queryDim))
        packed.columns(sizes.ropeDim..<sizes.queryDim).copy(from: source.columns(0..<sizes.nopeDim))
        let start = head * sizes.projectionRows
        projection.widen(start..<start + sizes.projectionRows, into: weight)
    }

    func attend(_ tokens: Int, to rows: RowsView, position: Int, mask: SelectionMask?, firstToken: Int) {
        let tiles = stride(from: 0, to: tokens, by: Self.tileTokens).map {
            $0..<min($0 + Self.tileTokens, tokens)
        }
        for (softmax, tile) in zip(softmaxes, tiles) {
            softmax.reset(rows: tile.count)
        }
        let keyTokens = position + tokens
        for pass in OnlineSoftmax.passes(attention.rounding.activations) {
            for start in stride(from: 0, to: keyTokens, by: expanded.rows) {
                let keys = start..<min(start + expanded.rows, keyTokens)
                let keyValues = expand(rows.tile(keys, scratch: latents))
                for (softmax, tile) in zip(softmaxes, tiles)
                where keys.lowerBound < position + tile.upperBound {
                    add(
                        keyValues,
                        at: keys,
                        to: softmax,
                        tokens: tile,
                        position: position,
                        mask: mask,
                        firstToken: firstToken + tile.lowerBound,
                        pass: pass
                    )
                }
            }
        }
    }

    func finish(token: Int, into result: AttentionResult.Rows, at index: Int) {
        softmaxes[token / Self.tileTokens].finish(row: token % Self.tileTokens, into: result, at: index)
    }

    /// Forms a tile's keys, rotated part first, and behind them its values.
    private func expand(_ latent: MatrixView) -> MatrixView {
        let keyValues = expanded.rows(0..<latent.rows)
        keyValues.columns(0..<sizes.ropeDim).copy(from: latent.columns(sizes.latentDim..<sizes.rowDim))
        let formed = keyValues.columns(sizes.ropeDim..<keyValues.columns)
        BLAS.multiply(projectionInput(latent), transposed: weight.view, into: formed)
        attention.round(formed)
        return keyValues.view
    }

    /// Adds a tile of keys to the sums of a tile of query tokens.
    private func add(
        _ keyValues: MatrixView,
        at keys: Range<Int>,
        to softmax: OnlineSoftmax,
        tokens: Range<Int>,
        position: Int,
        mask: SelectionMask?,
        firstToken: Int,
        pass: OnlineSoftmax.Pass
    ) {
        let tileScores = MutableMatrixView(
            base: scores.base,
            rows: tokens.count,
            columns: keys.count,
            stride: keys.count
        )
        BLAS.multiply(
            queries.rows(tokens).view,
            transposed: keyValues.columns(0..<sizes.queryDim),
            into: tileScores
        )
        let first = position + tokens.lowerBound
        let isWhole = keys.upperBound <= first + 1
        for row in 0..<tokens.count {
            visible[row] = min(max(first + row + 1 - keys.lowerBound, 0), keys.count)
        }
        if let mask {
            for row in 0..<tokens.count {
                mask.hide(tileScores[row], of: keys, for: firstToken + row)
            }
        }
        softmax.add(
            scores: tileScores,
            visible: isWhole ? nil : UnsafePointer(visible),
            hidesKeys: mask != nil,
            values: keyValues.columns(sizes.queryDim..<keyValues.columns),
            pass: pass
        )
    }

    /// The latents as the projection sees them: quantized and back where the deployed layer does so.
    private func projectionInput(_ latent: MatrixView) -> MatrixView {
        let latents = latent.columns(0..<sizes.latentDim)
        guard let format = attention.rounding.projectionInput else { return latents }
        let target = input.rows(0..<latents.rows)
        target.copy(from: latents)
        target.roundThroughFloat8(format: format)
        return target.view
    }
}

/// One worker's memory for one head and some query tokens with products in bfloat16, and the loop over keys.
///
/// What `ExpandedMemory` is for float32. Formed keys and values are rounded as they are packed.
final class RoundedExpandedMemory: ExpandedTile {
    /// Query tokens in one tile of scores, which stays in the second-level cache.
    private static let tileTokens = 128

    private let sizes: LatentAttention.Dimensions
    private let softmaxes: [RoundedSoftmax]  // one for each tile of tokens
    private let queries: BFloat16Matrix  // [tokens, ropeDim + nopeDim], one head's
    private let weight: PackedPanels  // [latentDim, nopeDim + valueDim], one head's, transposed
    private let weightRows: BFloat16Matrix  // [nopeDim + valueDim, latentDim]
    private let weightRow: MutableMatrixView  // [1, latentDim]
    private let rows: BFloat16Matrix  // [keys, rowDim], for rows stored in another format
    private let latents: BFloat16Matrix  // [keys, latentDim]
    private let formed: MutableMatrixView  // [keys, nopeDim + valueDim]
    private let keys: BFloat16Matrix  // [keys, ropeDim + nopeDim]
    private let values: BFloat16Matrix  // [keys, valueDim]
    private let keyPanels: PackedPanels  // [ropeDim + nopeDim, keys]
    private let valuePanels: PackedPanels  // [keys, valueDim]
    private let scores: MutableMatrixView  // [tileTokens, keys]
    private let probabilities: BFloat16Matrix  // [tileTokens, keys]
    private let pointers: UnsafeMutablePointer<UnsafePointer<UInt16>?>  // [max(keys, nopeDim + valueDim)]
    private let visible: UnsafeMutablePointer<Int>  // [tileTokens]
    private let scratch: Scratch
    private var valuesAreFinite = true  // those of the tile of keys now packed

    /// Memory for `tokens` query tokens and tiles of `tile` keys.
    init(tokens: Int, keys tile: Int, attention: LatentAttention) {
        let sizes = attention.dimensions
        let tiles = tileCount(tokens, Self.tileTokens)
        let tileTokens = min(tokens, Self.tileTokens)
        let (outputs, keyDim) = (sizes.projectionRows, sizes.queryDim)
        let pointerCount = max(tile, outputs)
        let halves = [
            (tokens, keyDim), (outputs, sizes.latentDim), (tile, sizes.rowDim), (tile, sizes.latentDim),
            (tile, keyDim), (tile, sizes.valueDim), (tileTokens, tile),
        ]
        let panels = [(sizes.latentDim, outputs), (keyDim, tile), (tile, sizes.valueDim)]
        scratch = Scratch(
            floats: halves.reduce(0) { $0 + BFloat16Matrix.scratchFloats(rows: $1.0, columns: $1.1) }
                + panels.reduce(0) { $0 + PackedPanels.scratchFloats(rows: $1.0, columns: $1.1) }
                + sizes.latentDim + tile * outputs + tileTokens * tile + 2 * pointerCount + 2 * tileTokens
                + tiles * RoundedSoftmax.scratchFloats(rows: tileTokens, valueDim: sizes.valueDim),
            matrices: 16 + 3 * tiles
        )
        self.sizes = sizes
        queries = BFloat16Matrix(rows: tokens, columns: keyDim, scratch: scratch)
        weight = PackedPanels(rows: sizes.latentDim, columns: outputs, scratch: scratch)
        weightRows = BFloat16Matrix(rows: outputs, columns: sizes.latentDim, scratch: scratch)
        weightRow = scratch.matrix(rows: 1, columns: sizes.latentDim)
        rows = BFloat16Matrix(rows: tile, columns: sizes.rowDim, scratch: scratch)
        latents = BFloat16Matrix(rows: tile, columns: sizes.latentDim, scratch: scratch)
        formed = scratch.matrix(rows: tile, columns: outputs)
        keys = BFloat16Matrix(rows: tile, columns: keyDim, scratch: scratch)
        values = BFloat16Matrix(rows: tile, columns: sizes.valueDim, scratch: scratch)
        keyPanels = PackedPanels(rows: keyDim, columns: tile, scratch: scratch)
        valuePanels = PackedPanels(rows: tile, columns: sizes.valueDim, scratch: scratch)
        scores = scratch.matrix(rows: tileTokens, columns: tile)
        probabilities = BFloat16Matrix(rows: tileTokens, columns: tile, scratch: scratch)
        pointers = scratch.array(of: UnsafePointer<UInt16>?.self, count: pointerCount)
        visible = scratch.array(of: Int.self, count: tileTokens)
        softmaxes = (0..<tiles).map { [scratch] _ in
            RoundedSoftmax(
                rows: tileTokens,
                valueDim: sizes.valueDim,
                scale: attention.scale,
                scratch: scratch
            )
        }
    }

    func load(_ source: MatrixView, projection: WeightMatrix, head: Int) {
        for row in 0..<source.rows {
            let (from, to) = (source[row], queries[row])
            Kernels.round(from + sizes.nopeDim, toBFloat16: to, count: sizes.ropeDim)
            Kernels.round(from, toBFloat16: to + sizes.ropeDim, count: sizes.nopeDim)
            to.closeRow(columns: sizes.queryDim)
        }
        let start = head * sizes.projectionRows
        for row in 0..<sizes.projectionRows {
            projection.widen(start + row..<start + row + 1, into: weightRow)
            weightRows.setRow(row, rounding: weightRow.base)
            pointers[row] = UnsafePointer(weightRows[row])
        }
        weight.pack(columns: UnsafePointer(pointers))
    }

    func attend(_ tokens: Int, to source: RowsView, position: Int, mask: SelectionMask?, firstToken: Int) {
        let tiles = stride(from: 0, to: tokens, by: Self.tileTokens).map {
            $0..<min($0 + Self.tileTokens, tokens)
        }
        for (softmax, tile) in zip(softmaxes, tiles) {
            softmax.reset(rows: tile.count)
        }
        let keyTokens = position + tokens
        for start in stride(from: 0, to: keyTokens, by: formed.rows) {
            let range = start..<min(start + formed.rows, keyTokens)
            expand(source, range)
            for (softmax, tile) in zip(softmaxes, tiles) where start < position + tile.upperBound {
                add(
                    range,
                    to: softmax,
                    tokens: tile,
                    position: position,
                    mask: mask,
                    firstToken: firstToken + tile.lowerBound
                )
            }
        }
    }

    func finish(token: Int, into result: AttentionResult.Rows, at index: Int) {
        softmaxes[token / Self.tileTokens].finish(row: token % Self.tileTokens, into: result, at: index)
    }

    /// Forms and packs a tile's keys, rotated part first, and its values.
    private func expand(_ source: RowsView, _ range: Range<Int>) {
        source.round(range, room: rows, into: pointers)
        for key in 0..<range.count {
            guard let row = pointers[key] else { continue }
            latents[key].update(from: row, count: sizes.latentDim)
            latents[key].closeRow(columns: sizes.latentDim)
            keys[key].update(from: row + sizes.latentDim, count: sizes.ropeDim)
        }
        let formed = formed.rows(0..<range.count)
        weight.multiply(latents.rows(0..<range.count), into: formed)
        for key in 0..<range.count {
            Kernels.round(formed[key], toBFloat16: keys[key] + sizes.ropeDim, count: sizes.nopeDim)
            Kernels.round(formed[key] + sizes.nopeDim, toBFloat16: values[key], count: sizes.valueDim)
            pointers[key] = UnsafePointer(keys[key])
        }
        keyPanels.resized(rows: sizes.queryDim, columns: range.count).pack(columns: UnsafePointer(pointers))
        for key in 0..<range.count {
            pointers[key] = UnsafePointer(values[key])
        }
        valuePanels.resized(rows: range.count, columns: sizes.valueDim).pack(rows: UnsafePointer(pointers))
        valuesAreFinite = UnsafePointer(pointers).areFinite(count: range.count, columns: sizes.valueDim)
    }

    /// Adds a tile of keys to the sums of a tile of query tokens.
    private func add(
        _ range: Range<Int>,
        to softmax: RoundedSoftmax,
        tokens: Range<Int>,
        position: Int,
        mask: SelectionMask?,
        firstToken: Int
    ) {
        let tile = MutableMatrixView(
            base: scores.base,
            rows: tokens.count,
            columns: range.count,
            stride: range.count
        )
        keyPanels.resized(rows: sizes.queryDim, columns: range.count)
            .multiply(queries.rows(tokens), into: tile)
        let first = position + tokens.lowerBound
        let isWhole = range.upperBound <= first + 1
        for row in 0..<tokens.count {
            visible[row] = min(max(first + row + 1 - range.lowerBound, 0), range.count)
        }
        if let mask {
            for row in 0..<tokens.count {
                mask.hide(tile[row], of: range, for: firstToken + row)
            }
        }
        let isBroken = !valuesAreFinite && (mask != nil || !isWhole)
        softmax.add(
            scores: tile,
            visible: isWhole ? nil : UnsafePointer(visible),
            probabilities: probabilities,
            values: valuePanels.resized(rows: range.count, columns: sizes.valueDim),
            brokenValues: isBroken ? UnsafePointer(pointers) : nil
        )
    }
}

extension UnsafeMutablePointer<UInt16> {
    /// Puts a zero behind a row whose number of columns is odd.
    fileprivate func closeRow(columns: Int) {
        if columns % 2 == 1 { self[columns] = 0 }
    }
}

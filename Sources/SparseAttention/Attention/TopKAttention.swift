/// Softmax attention over the tokens an indexer selected: the sparse core of DeepSeek Sparse Attention.
///
/// Every head of a query token attends to the same selected rows of a latent sequence. A row is the key; its
/// first columns are the value. Cost grows with the size of the selection, not with the sequence.
///
/// Source: V3.2-Exp report §1 eq. (2); FlashMLA `tests/ref.py`, sparse prefill.
public struct TopKAttention: Sendable {
    /// The width of a value: the leading columns of a row.
    public let valueDim: Int
    /// How probabilities and outputs are rounded; float32 leaves them alone.
    public let activations: StorageFormat
    /// The numbers that enter products: queries, rows and probabilities as they are, or rounded to bfloat16.
    ///
    /// Log-sum-exp and outputs stay float32. Where `activations` are rounded, products follow from that.
    public let products: ProductArithmetic
    /// The threads to use.
    public let workers: Workers

    /// Selected rows in one tile: gathered and widened once for all heads.
    private static let tileKeys = 256
    /// With fewer query tokens than this, each selection is split over the workers too.
    private static let enoughTokens = 16
    /// Slots of a selection in one part, when it is split.
    private static let partSlots = 512

    /// Attention whose values are the first `valueDim` columns of a row.
    ///
    /// - Parameters:
    ///   - valueDim: the numbers of a value, at most those of a row; 512 of 576 in DeepSeek-V3.2.
    ///   - activations: how probabilities and outputs are rounded.
    ///   - products: the numbers that enter products.
    ///   - workers: the threads to use.
    public init(
        valueDim: Int,
        activations: StorageFormat = .float32,
        products: ProductArithmetic = .float32,
        workers: Workers = .all
    ) {
        self.valueDim = valueDim
        self.activations = activations
        self.products = products
        self.workers = workers
    }

    /// Attends to the selected rows of a cache.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, latentDim + ropeDim]`, absorbed.
    ///   - latents: the rows of the sequence.
    ///   - selection: which rows each query token may use. A slot that is negative or beyond the last row counts
    ///     as empty; a position that appears twice counts twice; the order of slots does not matter.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score; zeros and −infinity for a row without valid slots.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    /// - Complexity: `2 · queryTokens · slots · heads · (row + valueDim)` operations.
    public func attend(
        _ queries: Tensor,
        to latents: borrowing LatentCache,
        at selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        try latents.withRows { rows throws(SparseAttentionError) in
            try attend(queries, to: rows, at: selection, scale: scale)
        }
    }

    /// Attends to the selected rows of a tensor.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, rowDim]`.
    ///   - latents: `[keyTokens, rowDim]`; the first `valueDim` numbers of a row are its value.
    ///   - selection: which rows each query token may use; a slot that is negative or beyond the last counts as empty.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score; zeros and −infinity for a row without valid slots.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func attend(
        _ queries: Tensor,
        to latents: Tensor,
        at selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        try latents.withRows { rows throws(SparseAttentionError) in
            try attend(queries, to: rows, at: selection, scale: scale)
        }
    }

    /// Attends to the selected rows.
    package func attend(
        _ queries: Tensor,
        to latents: RowsView,
        at selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        try validate(queries, rowDim: latents.columns, selection: selection, scale: scale)
        let heads = queries.shape[1]
        guard products == .float32 || activations != .float32 else {
            return attend(queries, to: latents, at: selection) {
                RoundedTile(
                    rows: heads,
                    keyDim: latents.columns,
                    valueDim: valueDim,
                    separateValues: false,
                    scale: scale
                )
            }
        }
        if Kernels.gathers, heads <= GatheredTile.mostHeads, activations == .float32 {
            return attend(queries, to: latents, at: selection) {
                GatheredTile(
                    heads: heads,
                    slots: max(selection.slots, 1),
                    rowDim: latents.columns,
                    valueDim: valueDim,
                    scale: scale
                )
            }
        }
        return attend(queries, to: latents, at: selection) {
            SelectionMemory(
                heads: heads,
                keys: min(Self.tileKeys, max(selection.slots, 1)),
                rowDim: latents.columns,
                valueDim: valueDim,
                scale: scale,
                activations: activations
            )
        }
    }

    private func attend<Memory: SelectionTile>(
        _ queries: Tensor,
        to latents: RowsView,
        at selection: TokenSelection,
        memory: @Sendable () -> Memory
    ) -> AttentionResult {
        let (queryTokens, heads) = (queries.shape[0], queries.shape[1])
        let isSplit = queryTokens < Self.enoughTokens && activations == .float32
        let slots = isSplit ? Self.partSlots : max(selection.slots, 1)
        let parts = max(tileCount(selection.slots, slots), 1)
        var results = AttentionResult(queryTokens: parts * queryTokens, heads: heads, valueDim: valueDim)
        results.withRows { results in
            queries.withMatrix { queries in
                workers.run(
                    tiles: queryTokens * parts,
                    scratch: memory,
                    { index, memory in
                        let (token, part) = (index / parts, index % parts)
                        let range = part * slots..<min((part + 1) * slots, selection.slots)
                        let chosen = selection[token][rebased: range].filter { $0 >= 0 && $0 < latents.rows }
                        memory.attend(
                            queries.rows(token * heads..<(token + 1) * heads),
                            to: latents,
                            at: chosen
                        )
                        for head in 0..<heads {
                            let row = (part * queryTokens + token) * heads + head
                            memory.finish(row: head, into: results, at: row)
                        }
                    }
                )
            }
        }
        return results.merged(parts: parts, workers: workers)
    }

    func validate(
        _ queries: Tensor,
        rowDim: Int,
        selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) {
        guard queries.shape.rank == 3 else {
            throw .dimensionMismatch(.rank, argument: "queries", expected: 3, found: queries.shape.rank)
        }
        guard queries.shape[2] == rowDim else {
            throw .dimensionMismatch(.headDim, argument: "queries", expected: rowDim, found: queries.shape[2])
        }
        guard selection.queryTokens == queries.shape[0] else {
            throw .dimensionMismatch(
                .queryTokens,
                argument: "selection",
                expected: queries.shape[0],
                found: selection.queryTokens
            )
        }
        guard (1...max(rowDim, 1)).contains(valueDim), valueDim <= rowDim else {
            throw .invalidSetting(
                name: "valueDim",
                found: "\(valueDim)",
                expected: "1 to the row's \(rowDim)"
            )
        }
        try requirePositive(scale)
    }
}

extension ArraySlice {
    /// The elements whose distance from the first lies in a range.
    subscript(rebased range: Range<Int>) -> ArraySlice {
        self[startIndex + range.lowerBound..<startIndex + range.upperBound]
    }
}

/// One worker's memory for the heads of a query token, and the loop over its selected rows.
private protocol SelectionTile: SendableMetatype {
    /// Attends to rows of a sequence, all of them valid.
    func attend(_ queries: MatrixView, to latents: RowsView, at chosen: [Int32])
    /// Writes the results of one head.
    func finish(row: Int, into result: AttentionResult.Rows, at index: Int)
}

extension RoundedTile: SelectionTile {
    fileprivate func attend(_ queries: MatrixView, to latents: RowsView, at chosen: [Int32]) {
        begin(rows: queries.rows)
        load(queries)
        let positions = chosen.map(Int.init)
        latents.prefetch(positions.prefix(Self.keys))
        for start in stride(from: 0, to: positions.count, by: Self.keys) {
            attend(
                to: latents,
                at: positions[start..<min(start + Self.keys, positions.count)],
                next: positions.dropFirst(start + Self.keys).prefix(Self.keys),
                values: nil,
                visible: nil
            )
        }
    }
}

extension GatheredTile: SelectionTile {}

/// The same in float32, for many heads.
private final class SelectionMemory: SelectionTile {
    let softmax: OnlineSoftmax

    private let scores: MutableMatrixView  // [heads, keys]
    private let gathered: MutableMatrixView  // [keys, rowDim]
    private let valueDim: Int
    private let scratch: Scratch

    init(
        heads: Int,
        keys: Int,
        rowDim: Int,
        valueDim: Int,
        scale: Float,
        activations: StorageFormat
    ) {
        scratch = Scratch(
            floats: heads * keys + keys * rowDim
                + OnlineSoftmax.scratchFloats(rows: heads, valueDim: valueDim)
        )
        scores = scratch.matrix(rows: heads, columns: keys)
        gathered = scratch.matrix(rows: keys, columns: rowDim)
        softmax = OnlineSoftmax(
            rows: heads,
            valueDim: valueDim,
            scale: scale,
            activations: activations,
            scratch: scratch
        )
        self.valueDim = valueDim
    }

    func finish(row: Int, into result: AttentionResult.Rows, at index: Int) {
        softmax.finish(row: row, into: result, at: index)
    }

    func attend(_ queries: MatrixView, to latents: RowsView, at chosen: [Int32]) {
        softmax.reset(rows: queries.rows)
        for pass in OnlineSoftmax.passes(softmax.activations) {
            for start in stride(from: 0, to: chosen.count, by: gathered.rows) {
                let positions = chosen[start..<min(start + gathered.rows, chosen.count)]
                let keys = gathered.rows(0..<positions.count)
                latents.gather(positions, into: keys)
                let tile = MutableMatrixView(
                    base: scores.base,
                    rows: queries.rows,
                    columns: positions.count,
                    stride: positions.count
                )
                BLAS.multiply(queries, transposed: keys.view, into: tile)
                softmax.add(
                    scores: tile,
                    visible: nil,
                    hidesKeys: false,
                    values: keys.view.columns(0..<valueDim),
                    pass: pass
                )
            }
        }
    }
}

/// Multi-head latent attention (MLA): keys and values of all heads are linear images of one narrow latent.
///
/// Two forms give the same result. *Expanded* forms each head's keys and values from the latents and runs
/// ordinary multi-head attention. *Absorbed* moves the key projection into the query and the value projection
/// behind the sum, so that all heads share the latent rows as keys and values: dearer for each pair of tokens,
/// but nothing is expanded, and a selection can be gathered.
///
/// Source: DeepSeek-V2 report §2.1 and appendix C; V3.2-Exp `inference/model.py`, `MLA`.
public struct LatentAttention: Sendable {
    /// The sizes of one layer.
    public struct Dimensions: Equatable, Sendable {
        /// The number of query heads.
        public let heads: Int
        /// The width of the latent.
        public let latentDim: Int
        /// The width of the rotated part of queries and keys.
        public let ropeDim: Int
        /// The width of the unrotated part of queries and keys.
        public let nopeDim: Int
        /// The width of a head's values.
        public let valueDim: Int

        /// Sizes, all positive.
        ///
        /// - Throws: `SparseAttentionError.invalidSetting`.
        public init(
            heads: Int,
            latentDim: Int,
            ropeDim: Int,
            nopeDim: Int,
            valueDim: Int
        ) throws(SparseAttentionError) {
            for (name, value) in [
                ("heads", heads), ("latentDim", latentDim), ("ropeDim", ropeDim), ("nopeDim", nopeDim),
                ("valueDim", valueDim),
            ] {
                guard value >= 1 else {
                    throw .invalidSetting(name: name, found: "\(value)", expected: "at least 1")
                }
            }
            self.heads = heads
            self.latentDim = latentDim
            self.ropeDim = ropeDim
            self.nopeDim = nopeDim
            self.valueDim = valueDim
        }

        /// The width of a query: its unrotated part, then its rotated part.
        public var queryDim: Int { nopeDim + ropeDim }
        /// The width of a cached row: the latent, then the rope key.
        public var rowDim: Int { latentDim + ropeDim }
        /// The rows of the key-value projection that belong to one head.
        public var projectionRows: Int { nopeDim + valueDim }
    }

    /// Which of the two equal computations to run.
    public enum Form: String, Equatable, Sendable, CaseIterable {
        /// All heads attend to the latent rows themselves.
        case absorbed
        /// Each head attends to keys and values formed from the latents.
        case expanded
    }

    /// The sizes of the layer.
    public let dimensions: Dimensions
    /// What scores are multiplied by, positive.
    public let scale: Float
    /// The rounding of intermediate results.
    public let rounding: Rounding
    /// The numbers that enter products: as they are, or rounded to bfloat16, with float32 sums.
    ///
    /// Where `rounding` says how activations are rounded, products follow from that.
    public let products: ProductArithmetic
    /// The threads to use.
    public let workers: Workers

    /// Where intermediate results are rounded.
    public struct Rounding: Equatable, Sendable {
        /// How absorbed queries, expanded keys and values, probabilities and outputs are rounded.
        public let activations: StorageFormat
        /// How latents are quantized before the key-value projection of the expanded form; nil for not at all.
        public let projectionInput: ScaleFormat?

        /// Float32 throughout.
        public static let none = Rounding(activations: .float32, projectionInput: nil)

        /// The given roundings.
        public init(activations: StorageFormat, projectionInput: ScaleFormat?) {
            self.activations = activations
            self.projectionInput = projectionInput
        }
    }

    /// Attention of the given sizes.
    ///
    /// - Parameters:
    ///   - dimensions: heads and widths.
    ///   - scale: what scores are multiplied by, positive.
    ///   - rounding: where intermediate results are rounded.
    ///   - products: the numbers that enter products.
    ///   - workers: the threads to use.
    /// - Throws: `SparseAttentionError.invalidSetting` for a scale that is not positive.
    public init(
        dimensions: Dimensions,
        scale: Float,
        rounding: Rounding = .none,
        products: ProductArithmetic = .float32,
        workers: Workers = .all
    ) throws(SparseAttentionError) {
        try requirePositive(scale)
        self.dimensions = dimensions
        self.scale = scale
        self.rounding = rounding
        self.products = products
        self.workers = workers
    }
}

// MARK: - Attending

extension LatentAttention {
    /// The projection from a latent to every head's key and value (`kv_b_proj`).
    public struct KeyValueProjection: Sendable {
        let weight: WeightMatrix

        /// A projection from its weight.
        ///
        /// - Parameter weight: `[heads · (nopeDim + valueDim), latentDim]`; each head has its key rows first.
        public init(_ weight: Tensor) {
            self.weight = WeightMatrix(weight)
        }

        /// A projection whose weight stays where it is stored.
        package init(_ weight: WeightMatrix) {
            self.weight = weight
        }
    }

    /// Attends causally to the cached tokens, or to those of a selection.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, nopeDim + ropeDim]`, the last part rotated.
    ///   - latents: the sequence so far, the query tokens' own rows last.
    ///   - projection: forms keys and values from latents.
    ///   - selection: the tokens each query token may use, a set: order does not matter, a position that appears twice
    ///     counts once, and one that is negative or after the query token does not count. Nil for all visible ones.
    ///   - form: which computation to run; nil for the one with fewer operations.
    /// - Returns: output `[queryTokens, heads, valueDim]` with its statistics.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func attend(
        _ queries: Tensor,
        to latents: borrowing LatentCache,
        through projection: KeyValueProjection,
        at selection: TokenSelection? = nil,
        form: Form? = nil
    ) throws(SparseAttentionError) -> AttentionResult {
        try validate(latentDim: latents.latentDim, ropeDim: latents.ropeDim)
        return try latents.withRows { rows throws(SparseAttentionError) in
            try attend(queries, to: rows, through: projection, at: selection, form: form)
        }
    }

    /// Attends to rows whose parts have the widths of this layer.
    func attend(
        _ queries: Tensor,
        to rows: RowsView,
        through projection: KeyValueProjection,
        at selection: TokenSelection?,
        form: Form?
    ) throws(SparseAttentionError) -> AttentionResult {
        try validate(queries, keyTokens: rows.rows, projection: projection, selection: selection)
        let position = rows.rows - queries.shape[0]
        let selection = selection?.causal(from: position)
        let form =
            form ?? cheapestForm(queryTokens: queries.shape[0], keyTokens: rows.rows, slots: selection?.slots)
        switch form {
        case .absorbed:
            var result = try attend(
                absorbed: absorb(queries, through: projection),
                to: rows,
                at: selection,
                position: position
            )
            result.output = expandValues(result.output, through: projection)
            return result
        case .expanded:
            return attendExpanded(queries, to: rows, through: projection, at: selection, position: position)
        }
    }

    /// Attends with absorbed queries: what lies between `absorb` and `expandValues`.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, latentDim + ropeDim]`, absorbed.
    ///   - latents: the sequence so far, the query tokens' own rows last; of this layer's widths.
    ///   - selection: the tokens each query token may use, as in `attend`.
    /// - Returns: sums of latents, `[queryTokens, heads, latentDim]`, with their statistics.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    package func attend(
        absorbed queries: Tensor,
        to latents: borrowing LatentCache,
        at selection: TokenSelection?
    ) throws(SparseAttentionError) -> AttentionResult {
        try latents.withRows { rows throws(SparseAttentionError) in
            let position = rows.rows - queries.shape[0]
            return try attend(
                absorbed: queries,
                to: rows,
                at: selection?.causal(from: position),
                position: position
            )
        }
    }

    private func attend(
        absorbed queries: Tensor,
        to rows: RowsView,
        at selection: TokenSelection?,
        position: Int
    ) throws(SparseAttentionError) -> AttentionResult {
        guard let selection else {
            return DenseAttention(
                activations: rounding.activations,
                products: usedProducts,
                workers: workers
            ).attend(queries, to: rows, valueDim: dimensions.latentDim, position: position, scale: scale)
        }
        return try TopKAttention(
            valueDim: dimensions.latentDim,
            activations: rounding.activations,
            products: usedProducts,
            workers: workers
        ).attend(queries, to: rows, at: selection, scale: scale)
    }

    /// The numbers that enter products: those asked for, unless the rounding already says it.
    var usedProducts: ProductArithmetic {
        rounding == .none ? products : .float32
    }

    /// Rounds as activations are.
    func round(_ matrix: MutableMatrixView) {
        guard rounding.activations == .bfloat16 else { return }
        for row in 0..<matrix.rows {
            Kernels.roundToBFloat16(matrix[row], count: matrix.columns)
        }
    }

    /// Checks the widths of cached rows.
    func validate(latentDim: Int, ropeDim: Int) throws(SparseAttentionError) {
        guard latentDim == dimensions.latentDim else {
            throw .dimensionMismatch(
                .latentDim,
                argument: "latents",
                expected: dimensions.latentDim,
                found: latentDim
            )
        }
        guard ropeDim == dimensions.ropeDim else {
            throw .dimensionMismatch(
                .ropeDim,
                argument: "latents",
                expected: dimensions.ropeDim,
                found: ropeDim
            )
        }
    }

    private func validate(
        _ queries: Tensor,
        keyTokens: Int,
        projection: KeyValueProjection,
        selection: TokenSelection?
    ) throws(SparseAttentionError) {
        let tokens = queries.shape.dimensions.first ?? 0
        guard queries.shape == [tokens, dimensions.heads, dimensions.queryDim] else {
            throw .shapeMismatch(
                argument: "queries",
                expected: [tokens, dimensions.heads, dimensions.queryDim],
                found: queries.shape
            )
        }
        let rows = dimensions.heads * dimensions.projectionRows
        guard projection.weight.rows == rows, projection.weight.columns == dimensions.latentDim else {
            throw .shapeMismatch(
                argument: "projection",
                expected: [rows, dimensions.latentDim],
                found: [projection.weight.rows, projection.weight.columns]
            )
        }
        guard tokens <= keyTokens else {
            throw .positionOutOfRange(position: tokens, allowed: 0..<keyTokens + 1)
        }
        if let selection, selection.queryTokens != tokens {
            throw .dimensionMismatch(
                .queryTokens,
                argument: "selection",
                expected: tokens,
                found: selection.queryTokens
            )
        }
    }
}

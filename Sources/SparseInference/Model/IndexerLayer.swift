import SparseAttention

/// The lightning indexer of one layer: makes index queries, keys and head weights, and selects.
///
/// Source: V3.2-Exp `inference/model.py`, `Indexer`, with the corrected RoPE layout.
struct IndexerLayer: Sendable {
    let indexer: LightningIndexer
    private let queryProjection: Linear  // wq_b: [indexHeads · indexHeadDim, queryLatentDim]
    private let keyProjection: Linear  // wk: [indexHeadDim, hiddenDim]
    private let keyNorm: LayerNorm
    private let weightProjection: Linear  // weights_proj: [indexHeads, hiddenDim]
    private let rope: RotaryEmbedding
    private let layout: RopeLayout
    private let ropeOffset: Int  // where the rotated elements of a head begin
    let arithmetic: Arithmetic

    init(
        _ indexer: IndexerConfiguration,
        of configuration: ModelConfiguration,
        queryLatentDim: Int,
        prefix: String,
        loader: WeightLoader,
        rope: RotaryEmbedding
    ) throws {
        self.indexer = try LightningIndexer(
            heads: indexer.heads,
            headDim: indexer.headDim,
            topK: indexer.topK,
            precision: loader.arithmetic.indexScores,
            workers: loader.workers
        )
        queryProjection = try loader.linear(
            prefix + "wq_b",
            outputs: indexer.heads * indexer.headDim,
            inputs: queryLatentDim
        )
        keyProjection = try loader.linear(
            prefix + "wk",
            outputs: indexer.headDim,
            inputs: configuration.hiddenDim
        )
        keyNorm = try LayerNorm(
            weight: loader.vector(prefix + "k_norm.weight", count: indexer.headDim),
            bias: loader.vector(prefix + "k_norm.bias", count: indexer.headDim)
                .scaled(by: loader.arithmetic.mistake == .layerNormWithoutBias ? 0 : 1),
            epsilon: Float(ModelConfiguration.latentNormEpsilon)
        )
        weightProjection = try loader.linear(
            prefix + "weights_proj",
            outputs: indexer.heads,
            inputs: configuration.hiddenDim
        )
        self.rope = rope
        arithmetic = loader.arithmetic
        let mistake = arithmetic.mistake
        layout = mistake == .indexerRopeInterleaved ? indexer.ropeLayout.other : indexer.ropeLayout
        ropeOffset = mistake == .indexerRopeLast ? indexer.headDim - rope.dim : 0
    }

    /// Whether the last of a number of tokens has to choose.
    func chooses(among keyTokens: Int) -> Bool { indexer.chooses(among: keyTokens) }

    /// Makes the index keys of new tokens: `RoPE(LayerNorm(hidden · wkᵀ))`.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, the attention's normalised input.
    ///   - rotation: cosine and sine of the tokens' positions.
    /// - Returns: `[tokens, indexHeadDim]`.
    /// - Throws: `SparseAttentionError` for an input that cannot be quantized.
    func keys(_ hidden: Tensor, rotation: RotaryEmbedding.Rotation) throws -> Tensor {
        var keys = arithmetic.rounded(try keyNorm(keyProjection(hidden)))
        try rotate(&keys, by: rotation)
        return arithmetic.rounded(keys)
    }

    /// What new tokens are scored with.
    struct Operands {
        /// The index queries after RoPE, `[tokens, indexHeads, indexHeadDim]`.
        var queries: Tensor
        /// The head weights, `[tokens, indexHeads]`.
        var weights: Tensor
        /// The indexer that scores them.
        var indexer: LightningIndexer

        /// The number of query tokens.
        var tokens: Int { queries.shape[0] }

        /// Those of some of the tokens.
        func slice(_ tokens: Range<Int>) throws -> Operands {
            Operands(queries: try queries.slice(tokens), weights: try weights.slice(tokens), indexer: indexer)
        }
    }

    /// Makes the index queries of new tokens, after RoPE, and their head weights.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, the attention's normalised input.
    ///   - queryLatent: `[tokens, queryLatentDim]`, normalised.
    ///   - rotation: cosine and sine of the tokens' positions.
    /// - Returns: what the new tokens are scored with.
    /// - Throws: `SparseAttentionError` for an input that cannot be quantized.
    func operands(
        _ hidden: Tensor,
        queryLatent: Tensor,
        rotation: RotaryEmbedding.Rotation
    ) throws -> Operands {
        let shape: Shape = [hidden.shape[0], indexer.heads, indexer.headDim]
        var queries = try queryProjection(queryLatent).reshaped(shape)
        try rotate(&queries, by: rotation)
        return Operands(
            queries: arithmetic.rounded(queries),
            weights: try headWeights(hidden),
            indexer: indexer
        )
    }

    /// Selects the tokens each new token attends to.
    ///
    /// - Parameters:
    ///   - operands: of the new tokens.
    ///   - keys: all index keys so far, the new tokens' included.
    /// - Returns: the selection.
    /// - Throws: `SparseAttentionError` for an input that cannot be quantized.
    func select(_ operands: Operands, keys: borrowing IndexKeyCache) throws -> TokenSelection {
        let operands = try mistaken(operands)
        if let shown = mistakenPosition(keyTokens: keys.count, tokens: operands.tokens) {
            return try selectOneByOne(operands, keys: keys, at: shown)
        }
        return try operands.indexer.select(
            queries: operands.queries,
            weights: operands.weights,
            keys: keys,
            from: keys.count - operands.tokens
        )
    }

    /// Records new index keys and what becomes of them.
    func record(keys: Tensor, to probe: LayerProbe?) throws {
        guard let probe else { return }
        probe.record(.indexKeys, keys)
        guard case .float8(let format, let rotated) = indexer.precision else { return }
        let rows = try keys.hadamardRotated().rounded(to: rotated)
        probe.record(.indexKeysRotated, rows)
        try probe.record(
            QuantizedRows(quantizing: rows, format: format),
            tokens: keys.shape[0],
            codes: .indexKeyCodes,
            scales: .indexKeyScales
        )
    }

    /// Records what new tokens are scored with, and the scores of all tokens they see.
    func record(_ operands: Operands, keys: borrowing IndexKeyCache, to probe: LayerProbe?) throws {
        guard let probe else { return }
        let tokens = operands.tokens
        probe.record(.indexQueries, operands.queries)
        if case .float8(let format, let rotated) = indexer.precision {
            let rows = try operands.queries.hadamardRotated().rounded(to: rotated)
            probe.record(.indexQueriesRotated, rows)
            try probe.record(
                QuantizedRows(quantizing: rows, format: format),
                tokens: tokens,
                codes: .indexQueryCodes,
                scales: .indexQueryScales
            )
        }
        probe.record(.headWeights, operands.weights)
        let scored = try mistaken(operands)
        let scores = try scored.indexer.scores(
            queries: scored.queries,
            weights: scored.weights,
            keys: keys,
            from: keys.count - tokens
        )
        probe.record(.indexScores, scores)
    }

    private func rotate(_ vectors: inout Tensor, by rotation: RotaryEmbedding.Rotation) throws {
        guard arithmetic.mistake != .indexerWithoutRope else { return }
        try rope.rotate(&vectors, at: ropeOffset, by: rotation, layout: layout)
    }

    /// The output of `weights_proj`, `[tokens, indexHeads]`.
    ///
    /// The first revision of the demo rounded it, and its product with `indexHeads^-½` again.
    private func headWeights(_ hidden: Tensor) throws -> Tensor {
        guard arithmetic.roundsHeadWeights else { return try weightProjection.exact(hidden) }
        let factor = 1 / Float(indexer.heads).squareRoot()
        return arithmetic.rounded(try weightProjection(hidden).scaled(by: factor)).scaled(by: 1 / factor)
    }
}

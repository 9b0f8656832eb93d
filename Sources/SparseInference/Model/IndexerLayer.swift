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
    private let arithmetic: Arithmetic

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

    /// The most tokens it selects for a query token.
    var topK: Int { indexer.topK.count }

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

    /// Selects the tokens each new token attends to.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, the attention's normalised input.
    ///   - queryLatent: `[tokens, queryLatentDim]`, normalised.
    ///   - keys: all index keys so far, the new tokens' included.
    ///   - rotation: cosine and sine of the tokens' positions.
    ///   - watch: called with each stage.
    /// - Returns: the selection.
    /// - Throws: `SparseAttentionError` for an input that cannot be quantized.
    func select(
        _ hidden: Tensor,
        queryLatent: Tensor,
        keys: borrowing IndexKeyCache,
        rotation: RotaryEmbedding.Rotation,
        watch: (Stage, StageProbe.Value) -> Void
    ) throws -> TokenSelection {
        let tokens = hidden.shape[0]
        let (queries, weights) = try operands(hidden, queryLatent: queryLatent, rotation: rotation)
        watch(.indexQueries, .tensor(queries))
        watch(.headWeights, .tensor(weights))
        if let mistake = arithmetic.mistake {
            return try select(with: mistake, queries: queries, weights: weights, keys: keys)
        }
        return try indexer.select(queries: queries, weights: weights, keys: keys, from: keys.count - tokens)
    }

    /// Makes the index queries of new tokens, after RoPE, and their head weights.
    func operands(
        _ hidden: Tensor,
        queryLatent: Tensor,
        rotation: RotaryEmbedding.Rotation
    ) throws -> (queries: Tensor, weights: Tensor) {
        let shape: Shape = [hidden.shape[0], indexer.heads, indexer.headDim]
        var queries = try queryProjection(queryLatent).reshaped(shape)
        try rotate(&queries, by: rotation)
        return (arithmetic.rounded(queries), try headWeights(hidden))
    }

    private func rotate(_ vectors: inout Tensor, by rotation: RotaryEmbedding.Rotation) throws {
        guard arithmetic.mistake != .indexerWithoutRope else { return }
        try rope.rotate(&vectors, at: ropeOffset, by: rotation, layout: layout)
    }

    /// The output of `weights_proj`, `[tokens, indexHeads]`.
    ///
    /// The first revision of the demo rounded it, and its product with `indexHeads^-½` again.
    private func headWeights(_ hidden: Tensor) throws -> Tensor {
        guard arithmetic.roundsHeadWeights else { return try weightProjection.unrounded(hidden) }
        let factor = 1 / Float(indexer.heads).squareRoot()
        return arithmetic.rounded(try weightProjection(hidden).scaled(by: factor)).scaled(by: 1 / factor)
    }
}

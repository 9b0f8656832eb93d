import SparseAttention

/// The lightning indexer of one layer: makes index queries, keys and head weights, and selects.
///
/// Source: V3.2-Exp `inference/model.py`, `Indexer`, with the corrected RoPE layout.
struct IndexerLayer: Sendable {
    private let indexer: LightningIndexer
    private let queryProjection: Linear  // wq_b: [indexHeads · indexHeadDim, queryLatentDim]
    private let keyProjection: Linear  // wk: [indexHeadDim, hiddenDim]
    private let keyNorm: LayerNorm
    private let weightProjection: Linear  // weights_proj: [indexHeads, hiddenDim]
    private let rope: RotaryEmbedding
    private let layout: RopeLayout

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
            bias: loader.vector(prefix + "k_norm.bias", count: indexer.headDim),
            epsilon: Float(ModelConfiguration.latentNormEpsilon)
        )
        weightProjection = try loader.linear(
            prefix + "weights_proj",
            outputs: indexer.heads,
            inputs: configuration.hiddenDim
        )
        self.rope = rope
        layout = indexer.ropeLayout
    }

    /// The most tokens it selects for a query token.
    var topK: Int { indexer.topK.count }

    /// Makes the index keys of new tokens: `RoPE(LayerNorm(hidden · wkᵀ))`.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, the attention's normalised input.
    ///   - rotation: cosine and sine of the tokens' positions.
    /// - Returns: `[tokens, indexHeadDim]`.
    func keys(_ hidden: Tensor, rotation: RotaryEmbedding.Rotation) throws -> Tensor {
        var keys = try keyNorm(keyProjection(hidden))
        try rope.rotate(&keys, by: rotation, layout: layout)
        return keys
    }

    /// Selects the tokens each new token attends to.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, the attention's normalised input.
    ///   - queryLatent: `[tokens, queryLatentDim]`, normalised.
    ///   - keys: all index keys so far, the new tokens' included.
    ///   - rotation: cosine and sine of the tokens' positions.
    ///   - watch: called with each stage.
    func select(
        _ hidden: Tensor,
        queryLatent: Tensor,
        keys: borrowing IndexKeyCache,
        rotation: RotaryEmbedding.Rotation,
        watch: (Stage, StageProbe.Value) -> Void
    ) throws -> TokenSelection {
        let tokens = hidden.shape[0]
        var queries = try queryProjection(queryLatent).reshaped([tokens, indexer.heads, indexer.headDim])
        try rope.rotate(&queries, by: rotation, layout: layout)
        let weights = weightProjection(hidden)
        watch(.indexQueries, .tensor(queries))
        watch(.headWeights, .tensor(weights))
        return try indexer.select(queries: queries, weights: weights, keys: keys, from: keys.count - tokens)
    }
}

import SparseAttention
import SparseInference

/// The lightning indexer of one layer while it is trained.
///
/// Its input, the attention's normalised input and the query latent, is a constant.
struct IndexerBlock: Sendable {
    private let sizes: IndexerConfiguration
    private let indexer: LightningIndexer
    private let prefix: String
    private let workers: Workers

    /// What `backward` needs of a forward pass.
    struct Trace {
        let hidden: Tensor  // [tokens, hiddenDim]
        let queryLatent: Tensor  // [tokens, queryLatentDim]
        let projectedKeys: Tensor  // [tokens, headDim], before the norm
        let operands: IndexerLossGradient.Operands
    }

    init(_ sizes: IndexerConfiguration, topK: Int, prefix: String, workers: Workers) throws {
        self.sizes = sizes
        self.prefix = prefix
        self.workers = workers
        indexer = try LightningIndexer(
            heads: sizes.heads,
            headDim: sizes.headDim,
            topK: topK,
            workers: workers
        )
    }

    /// Makes index queries, keys and head weights.
    func forward(
        _ hidden: Tensor,
        queryLatent: Tensor,
        _ parameters: ParameterSet,
        rope: RotaryEmbedding,
        rotation: RotaryEmbedding.Rotation
    ) throws -> Trace {
        let tokens = hidden.shape[0]
        let projectedKeys = Operators.Linear.forward(
            hidden,
            parameters[prefix + "wk.weight"],
            workers: workers
        )
        var queries = Operators.Linear.forward(
            queryLatent,
            parameters[prefix + "wq_b.weight"],
            workers: workers
        ).shaped([tokens, sizes.heads, sizes.headDim])
        var keys = try norm(parameters)(projectedKeys)
        try rope.rotate(&queries, by: rotation, layout: sizes.ropeLayout)
        try rope.rotate(&keys, by: rotation, layout: sizes.ropeLayout)
        let weights = Operators.Linear.forward(
            hidden,
            parameters[prefix + "weights_proj.weight"],
            workers: workers
        )
        return Trace(
            hidden: hidden,
            queryLatent: queryLatent,
            projectedKeys: projectedKeys,
            operands: .init(queries: queries, keys: keys, weights: weights)
        )
    }

    /// The tokens each token attends to, in its own sequence; nil for a single one of no more than top-k.
    func select(_ trace: Trace, _ pack: SequencePack) throws -> TokenSelection? {
        let operands = trace.operands
        return try pack.joined(
            pack.rows.map { rows in
                guard indexer.chooses(among: rows.count) else { return nil }
                return try indexer.select(
                    queries: operands.queries.slice(rows),
                    weights: operands.weights.slice(rows),
                    keys: operands.keys.slice(rows),
                    from: 0
                )
            }
        )
    }

    /// The loss of this layer's indexer and the gradients it leads to.
    func loss(weight: Float) -> IndexerLossGradient {
        IndexerLossGradient(heads: sizes.heads, headDim: sizes.headDim, weight: weight, workers: workers)
    }

    /// Adds the gradients of the indexer's parameters.
    func backward(
        _ loss: IndexerLossGradient.Result,
        _ trace: Trace,
        _ parameters: ParameterSet,
        rope: RotaryEmbedding,
        rotation: RotaryEmbedding.Rotation,
        into gradients: inout ParameterSet
    ) throws {
        let tokens = trace.hidden.shape[0]
        var (queries, keys) = (loss.queries, loss.keys)
        try rope.rotate(&queries, by: rotation.transposed, layout: sizes.ropeLayout)
        try rope.rotate(&keys, by: rotation.transposed, layout: sizes.ropeLayout)
        let normGradients = Operators.CenteredNorm.backward(
            keys,
            input: trace.projectedKeys,
            norm: try norm(parameters)
        )
        func add(_ name: String, _ gradient: Tensor, _ input: Tensor) {
            gradients.accumulate(
                prefix + name,
                Operators.Linear.weightGradient(gradient, input: input, workers: workers)
            )
        }
        add("wq_b.weight", queries.shaped([tokens, sizes.heads * sizes.headDim]), trace.queryLatent)
        add("wk.weight", normGradients.input, trace.hidden)
        add("weights_proj.weight", loss.weights, trace.hidden)
        gradients.accumulate(prefix + "k_norm.weight", normGradients.weight)
        gradients.accumulate(prefix + "k_norm.bias", normGradients.bias)
    }

    private func norm(_ parameters: ParameterSet) throws -> LayerNorm {
        try LayerNorm(
            weight: parameters[prefix + "k_norm.weight"],
            bias: parameters[prefix + "k_norm.bias"],
            epsilon: Float(ModelConfiguration.latentNormEpsilon)
        )
    }
}

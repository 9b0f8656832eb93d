import SparseAttention
import SparseInference

/// Latent attention of one layer while it is trained, with its indexer.
struct AttentionBlock: Sendable {
    let sizes: LatentAttention.Dimensions
    let attention: LatentAttention
    let indexer: IndexerBlock?
    let sharesSelection: Bool
    let prefix: String
    let rope: RotaryEmbedding
    let workers: Workers

    /// What `backward` needs of a forward pass.
    struct Trace {
        let hidden: Tensor  // [tokens, hiddenDim]
        let projectedQueries: Tensor?  // [tokens, queryLatentDim], before the norm
        let queryLatent: Tensor?  // [tokens, queryLatentDim]
        let queries: Tensor  // [tokens, heads, queryDim], rotated
        let projectedLatents: Tensor  // [tokens, latentDim], before the norm
        let latents: Tensor  // [tokens, latentDim]
        let ropeKeys: Tensor  // [tokens, ropeDim], rotated
        let indexer: IndexerBlock.Trace?
        let selection: TokenSelection?
        let agreement: SelectionAgreement?  // of a replayed selection with the indexer's own
        let output: Tensor  // [tokens, heads · valueDim]
        let logSumExp: Tensor  // [tokens, heads]
    }

    init(_ configuration: ModelConfiguration, layer: Int, topK: Int?, rope: RotaryEmbedding, workers: Workers)
        throws
    {
        prefix = "model.layers.\(layer).self_attn."
        sizes = try LatentAttention.Dimensions(
            heads: configuration.heads,
            latentDim: configuration.latentDim,
            ropeDim: configuration.ropeDim,
            nopeDim: configuration.nopeDim,
            valueDim: configuration.valueDim
        )
        attention = try LatentAttention(
            dimensions: sizes,
            scale: configuration.softmaxScale,
            workers: workers
        )
        sharesSelection = configuration.indexer?.sharing(layer: layer) == .shared
        indexer =
            if let sizes = configuration.indexer, configuration.queryLatentDim != nil, !sharesSelection {
                try IndexerBlock(
                    sizes,
                    topK: topK ?? sizes.topK,
                    prefix: prefix + "indexer.",
                    workers: workers
                )
            } else {
                nil
            }
        self.rope = rope
        self.workers = workers
    }

    /// Attends.
    ///
    /// - Parameters:
    ///   - hidden: normalised, `[tokens, hiddenDim]`.
    ///   - parameters: those of the model.
    ///   - pack: whose rows they are.
    ///   - rotation: cosine and sine of all tokens.
    ///   - mode: what to attend to, and whether the indexer is needed.
    ///   - replayed: the selection to attend to, whatever the indexer selects; its own when nil.
    ///   - selection: the previous layer's on entry, this layer's on return.
    /// - Returns: `[tokens, hiddenDim]`, and what `backward` needs.
    /// - Throws: `SparseAttentionError` when parameters do not fit together.
    func forward(
        _ hidden: Tensor,
        _ parameters: ParameterSet,
        pack: SequencePack,
        rotation: RotaryEmbedding.Rotation,
        mode: TrainingMode,
        replayed: TokenSelection? = nil,
        selection: inout TokenSelection?
    ) throws -> (output: Tensor, trace: Trace) {
        let tokens = hidden.shape[0]
        func linear(_ input: Tensor, _ name: String) -> Tensor {
            Operators.Linear.forward(input, parameters[prefix + name], workers: workers)
        }
        var projectedQueries: Tensor?
        var queryLatent: Tensor?
        var queries: Tensor
        if parameters.find(prefix + "q_a_proj.weight") != nil {
            let projected = linear(hidden, "q_a_proj.weight")
            let latent = try norm("q_a_layernorm.weight", parameters)(projected)
            (projectedQueries, queryLatent) = (projected, latent)
            queries = linear(latent, "q_b_proj.weight")
        } else {
            queries = linear(hidden, "q_proj.weight")
        }
        queries = queries.shaped([tokens, sizes.heads, sizes.queryDim])
        try rope.rotate(&queries, at: sizes.nopeDim, by: rotation, layout: .interleaved)
        let rows = linear(hidden, "kv_a_proj_with_mqa.weight")
        let projectedLatents = rows.columns(0..<sizes.latentDim)
        let latents = try norm("kv_a_layernorm.weight", parameters)(projectedLatents)
        var ropeKeys = rows.columns(sizes.latentDim..<sizes.rowDim)
        try rope.rotate(&ropeKeys, by: rotation, layout: .interleaved)
        let indexed = try index(hidden, queryLatent, parameters, rotation, mode)
        var agreement: SelectionAgreement?
        if mode.attention == .dense {
            selection = try pack.everything
        } else if let replayed {
            selection = replayed
            agreement = try indexed.flatMap { try indexer?.select($0, pack) }.map {
                SelectionAgreement(of: $0, with: replayed, positions: pack.positions)
            }
        } else if let indexer, let indexed {
            selection = try indexer.select(indexed, pack)
        } else if !sharesSelection {
            selection = try pack.everything
        }
        var cache = try LatentCache(
            capacity: tokens,
            latentDim: sizes.latentDim,
            ropeDim: sizes.ropeDim
        )
        try cache.append(latents: latents, ropeKeys: ropeKeys)
        let result = try attention.attend(
            queries,
            to: cache,
            through: .init(parameters[prefix + "kv_b_proj.weight"]),
            at: selection,
            form: selection == nil ? .expanded : .absorbed
        )
        let output = result.output.shaped([tokens, sizes.heads * sizes.valueDim])
        let trace = Trace(
            hidden: hidden,
            projectedQueries: projectedQueries,
            queryLatent: queryLatent,
            queries: queries,
            projectedLatents: projectedLatents,
            latents: latents,
            ropeKeys: ropeKeys,
            indexer: indexed,
            selection: selection,
            agreement: agreement,
            output: output,
            logSumExp: result.logSumExp
        )
        return (linear(output, "o_proj.weight"), trace)
    }

    /// Runs the indexer where it selects or is trained.
    private func index(
        _ hidden: Tensor,
        _ queryLatent: Tensor?,
        _ parameters: ParameterSet,
        _ rotation: RotaryEmbedding.Rotation,
        _ mode: TrainingMode
    ) throws -> IndexerBlock.Trace? {
        guard let indexer, let queryLatent, mode.attention == .sparse || mode.trainsIndexer else {
            return nil
        }
        return try indexer.forward(
            hidden,
            queryLatent: queryLatent,
            parameters,
            rope: rope,
            rotation: rotation
        )
    }

    func norm(_ name: String, _ parameters: ParameterSet) -> RMSNorm {
        RMSNorm(
            weight: parameters[prefix + name],
            epsilon: Float(ModelConfiguration.latentNormEpsilon)
        )
    }
}

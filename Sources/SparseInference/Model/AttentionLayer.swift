package import SparseAttention

/// Latent attention of one layer, over all tokens or over those its indexer selects.
///
/// Source: V3.2-Exp `inference/model.py`, `MLA`.
package struct AttentionLayer: Sendable {
    private let layer: Int
    private let dimensions: LatentAttention.Dimensions
    let attention: LatentAttention
    private let query: QueryPath
    private let latentProjection: Linear  // kv_a_proj_with_mqa: [latentDim + ropeDim, hiddenDim]
    private let latentNorm: RMSNorm
    let keyValueProjection: LatentAttention.KeyValueProjection  // kv_b_proj
    private let outputProjection: Linear  // o_proj: [hiddenDim, heads · valueDim]
    private let rope: RotaryEmbedding
    private let ropeLayout: RopeLayout
    let indexer: IndexerLayer?
    let sharesSelection: Bool
    let arithmetic: Arithmetic

    /// How queries come from the hidden state.
    private enum QueryPath: Sendable {
        /// Through a normalised latent, from which index queries come too.
        case latent(down: Linear, norm: RMSNorm, up: Linear)
        /// In one projection.
        case direct(Linear)
    }

    /// The attention of one layer.
    ///
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - layer: its index.
    ///   - loader: gives the weights.
    ///   - rope: the rotary embedding of attention and indexer.
    /// - Throws: `SparseInferenceError.checkpoint` for a weight that is missing or is something else.
    package init(configuration: ModelConfiguration, layer: Int, loader: WeightLoader, rope: RotaryEmbedding)
        throws
    {
        self.layer = layer
        let prefix = "model.layers.\(layer).self_attn."
        let epsilon = ModelConfiguration.latentNormEpsilon
        dimensions = try LatentAttention.Dimensions(
            heads: configuration.heads,
            latentDim: configuration.latentDim,
            ropeDim: configuration.ropeDim,
            nopeDim: configuration.nopeDim,
            valueDim: configuration.valueDim
        )
        let projection = try loader.matrix(
            prefix + "kv_b_proj",
            outputs: dimensions.heads * dimensions.projectionRows,
            inputs: dimensions.latentDim
        )
        attention = try LatentAttention(
            dimensions: dimensions,
            scale: loader.arithmetic.mistake == .missingYarnFactor
                ? configuration.softmaxScale(yarn: nil) : configuration.softmaxScale,
            rounding: LatentAttention.Rounding(
                activations: loader.arithmetic.activations,
                projectionInput: projection.isFloat8 ? loader.arithmetic.inputFormat : nil
            ),
            products: loader.arithmetic.products,
            workers: loader.workers
        )
        keyValueProjection = LatentAttention.KeyValueProjection(projection)
        arithmetic = loader.arithmetic
        let queryOutputs = dimensions.heads * dimensions.queryDim
        if let queryLatentDim = configuration.queryLatentDim {
            query = .latent(
                down: try loader.linear(
                    prefix + "q_a_proj",
                    outputs: queryLatentDim,
                    inputs: configuration.hiddenDim
                ),
                norm: try loader.norm(prefix + "q_a_layernorm", count: queryLatentDim, epsilon: epsilon),
                up: try loader.linear(prefix + "q_b_proj", outputs: queryOutputs, inputs: queryLatentDim)
            )
        } else {
            query = .direct(
                try loader.linear(prefix + "q_proj", outputs: queryOutputs, inputs: configuration.hiddenDim)
            )
        }
        latentProjection = try loader.linear(
            prefix + "kv_a_proj_with_mqa",
            outputs: dimensions.rowDim,
            inputs: configuration.hiddenDim
        )
        latentNorm = try loader.norm(prefix + "kv_a_layernorm", count: dimensions.latentDim, epsilon: epsilon)
        outputProjection = try loader.linear(
            prefix + "o_proj",
            outputs: configuration.hiddenDim,
            inputs: dimensions.heads * dimensions.valueDim
        )
        self.rope = rope
        ropeLayout = loader.arithmetic.mistake == .attentionRopeHalfSplit ? .halfSplit : .interleaved
        sharesSelection = configuration.indexer?.sharing(layer: layer) == .shared
        if let indexer = configuration.indexer, let queryLatentDim = configuration.queryLatentDim,
            !sharesSelection
        {
            self.indexer = try IndexerLayer(
                indexer,
                of: configuration,
                queryLatentDim: queryLatentDim,
                prefix: prefix + "indexer.",
                loader: loader,
                rope: rope
            )
        } else {
            indexer = nil
        }
    }

    /// Attends with new tokens, which it first appends to the caches of their sequences.
    ///
    /// - Parameters:
    ///   - hidden: `[tokens, hiddenDim]`, normalised.
    ///   - sequences: whose tokens they are, and what the layer remembers of them; covers the rows in order.
    ///   - rotation: cosine and sine of the tokens' positions.
    ///   - options: how to compute.
    ///   - selections: the previous layer's selection of each sequence on entry, this layer's on return; nil for all tokens.
    ///   - probe: watches the stages of a single sequence.
    /// - Returns: `[tokens, hiddenDim]`.
    /// - Throws: `SparseAttentionError`, such as `cacheFull`.
    package func callAsFunction(
        _ hidden: Tensor,
        sequences: [SequenceRows],
        rotation: RotaryEmbedding.Rotation,
        options: ForwardOptions,
        selections: inout [TokenSelection?],
        probe: LayerProbe?
    ) throws -> Tensor {
        let tokens = hidden.shape[0]
        try record(input: hidden, to: probe)
        let (queries, queryLatent) = try makeQueries(hidden, rotation: rotation)
        if let queryLatent { probe?.record(.queryLatent, queryLatent) }
        probe?.record(.queries, queries)
        try append(hidden, to: sequences, rotation: rotation, probe: probe)
        let operands = try indexOperands(
            hidden,
            queryLatent,
            of: sequences,
            rotation: rotation,
            options,
            isProbed: probe != nil
        )
        let result = try attend(queries, operands, sequences, options, &selections, probe)
        probe?.record(.attentionOutput, result.output)
        probe?.record(.logSumExp, result.logSumExp)
        let projected = try outputProjection(
            result.output.reshaped([tokens, dimensions.heads * dimensions.valueDim])
        )
        probe?.record(.attentionProjected, projected)
        return projected
    }

    /// Shows what the query tokens that are watched would attend to.
    func show(
        _ queries: Tensor,
        _ selection: TokenSelection?,
        _ cache: LayerCache,
        to observer: AttentionObserver
    ) throws {
        let tokens = queries.shape[0]
        let start = cache.latents.count - tokens
        for token in 0..<tokens where observer.watches(start + token) {
            let weights = try attention.weights(
                queries.slice(token..<token + 1),
                to: cache.latents,
                visible: start + token + 1,
                through: keyValueProjection
            )
            observer.observe(
                .init(
                    layer: layer,
                    position: start + token,
                    weights: weights,
                    selected: selection.map { Array($0[token]) }
                )
            )
        }
    }

    /// Records the input, and its codes where projections quantize it.
    private func record(input hidden: Tensor, to probe: LayerProbe?) throws {
        guard let probe else { return }
        probe.record(.attentionInput, hidden)
        guard let coded = try latentProjection.codedInput(hidden) else { return }
        try probe.record(
            coded,
            tokens: hidden.shape[0],
            codes: .attentionInputCodes,
            scales: .attentionInputScales
        )
    }

    private func makeQueries(
        _ hidden: Tensor,
        rotation: RotaryEmbedding.Rotation
    ) throws -> (queries: Tensor, latent: Tensor?) {
        let latent: Tensor?
        let flat: Tensor
        switch query {
        case .latent(let down, let norm, let up):
            let normalised = arithmetic.rounded(try norm(down(hidden)))
            latent = normalised
            flat = try up(normalised)
        case .direct(let projection):
            latent = nil
            flat = try projection(hidden)
        }
        var queries = try flat.reshaped([hidden.shape[0], dimensions.heads, dimensions.queryDim])
        try rope.rotate(&queries, at: dimensions.nopeDim, by: rotation, layout: ropeLayout)
        return (arithmetic.rounded(queries), latent)
    }

    /// Appends latents and index keys of new tokens.
    ///
    /// Index keys are kept in dense mode too, so that a sequence can change its mode.
    private func append(
        _ hidden: Tensor,
        to sequences: [SequenceRows],
        rotation: RotaryEmbedding.Rotation,
        probe: LayerProbe?
    ) throws {
        let rows = try latentProjection(hidden)
        var latents = arithmetic.rounded(try latentNorm(rows.columns(0..<dimensions.latentDim)))
        if let format = arithmetic.latentFormat {
            latents = arithmetic.rounded(try latents.roundedThroughFloat8(format: format))
        }
        var ropeKeys = rows.columns(dimensions.latentDim..<dimensions.rowDim)
        try rope.rotate(&ropeKeys, by: rotation, layout: ropeLayout)
        ropeKeys = arithmetic.rounded(ropeKeys)
        probe?.record(.latents, latents)
        probe?.record(.ropeKeys, ropeKeys)
        let indexKeys = try indexer?.keys(hidden, rotation: rotation)
        if let indexKeys { try indexer?.record(keys: indexKeys, to: probe) }
        for sequence in sequences {
            try sequence.cache.latents.append(
                latents: latents.slice(sequence.rows),
                ropeKeys: ropeKeys.slice(sequence.rows)
            )
            if let indexKeys { try sequence.cache.indexKeys.append(indexKeys.slice(sequence.rows)) }
        }
    }
}

import SparseAttention

/// One layer: attention and feed-forward, each normalised before and added to the residual stream.
struct TransformerLayer: Sendable {
    private let index: Int
    private let attentionNorm: RMSNorm
    private let attention: AttentionLayer
    private let feedForwardNorm: RMSNorm
    private let feedForward: FeedForwardPath
    private let arithmetic: Arithmetic

    /// What follows the attention.
    private enum FeedForwardPath: Sendable {
        case dense(FeedForward)
        case experts(ExpertLayer)
    }

    init(configuration: ModelConfiguration, layer: Int, loader: WeightLoader, rope: RotaryEmbedding) throws {
        let prefix = "model.layers.\(layer)."
        let (hiddenDim, epsilon) = (configuration.hiddenDim, configuration.normEpsilon)
        index = layer
        arithmetic = loader.arithmetic
        attentionNorm = try loader.norm(prefix + "input_layernorm", count: hiddenDim, epsilon: epsilon)
        attention = try AttentionLayer(configuration: configuration, layer: layer, loader: loader, rope: rope)
        feedForwardNorm = try loader.norm(
            prefix + "post_attention_layernorm",
            count: hiddenDim,
            epsilon: epsilon
        )
        feedForward =
            configuration.isDense(layer: layer)
            ? .dense(
                try FeedForward(
                    prefix: prefix + "mlp.",
                    hiddenDim: hiddenDim,
                    feedForwardDim: configuration.feedForwardDim,
                    loader: loader
                )
            )
            : .experts(try ExpertLayer(configuration: configuration, prefix: prefix + "mlp.", loader: loader))
    }

    /// Runs new tokens through the layer.
    ///
    /// - Parameters:
    ///   - hidden: the residual stream, `[tokens, hiddenDim]`; updated.
    ///   - sequences: whose tokens they are, and what the layer remembers of them.
    ///   - rotation: cosine and sine of the tokens' positions.
    ///   - options: how to compute.
    ///   - selections: the previous layer's selection of each sequence on entry, this layer's on return.
    /// - Throws: `SparseAttentionError`, such as `cacheFull`.
    func callAsFunction(
        _ hidden: inout Tensor,
        sequences: [SequenceRows],
        rotation: RotaryEmbedding.Rotation,
        options: ForwardOptions,
        selections: inout [TokenSelection?]
    ) throws {
        let probe = options.probe?.layer(index)
        // A norm sees the sum before it is rounded, the next sum sees it rounded.
        let attended = try attention(
            arithmetic.rounded(attentionNorm(hidden)),
            sequences: sequences,
            rotation: rotation,
            options: options,
            selections: &selections,
            probe: probe
        )
        hidden = arithmetic.rounded(hidden)
        hidden.add(attended)
        let normalised = arithmetic.rounded(try feedForwardNorm(hidden))
        probe?.record(.feedForwardInput, normalised)
        hidden = arithmetic.rounded(hidden)
        switch feedForward {
        case .dense(let layer): hidden.add(try layer(normalised))
        case .experts(let layer): hidden.add(try layer(normalised, probe: probe))
        }
        probe?.record(.hidden, hidden)
    }
}

package import SparseAttention

/// A multi-token-prediction layer: guesses the token after the next one from the hidden state and the next token.
///
/// `hidden[i]` is the residual stream behind token i after the final normalisation. Row i joins it with token i + 1,
/// `eh_proj([enorm(embed(token[i + 1])) | hnorm(hidden[i])])`, and runs the result through a decoder layer with an indexer
/// and caches of its own, at position i; its head's logits are those of token i + 2.
///
/// Source: DeepSeek-V3 report §2.2.
package struct PredictionLayer: Sendable {
    private let embedding: WeightMatrix  // embed_tokens: [vocabularySize, hiddenDim]
    private let tokenNorm: RMSNorm  // enorm
    private let hiddenNorm: RMSNorm  // hnorm
    private let joining: Linear  // eh_proj: [hiddenDim, 2 · hiddenDim]
    private let layer: TransformerLayer
    private let norm: RMSNorm  // shared_head.norm
    private let head: WeightMatrix  // shared_head.head: [vocabularySize, hiddenDim]
    private let rope: RotaryEmbedding
    private let arithmetic: Arithmetic
    private let workers: Workers

    /// The first prediction layer of a checkpoint.
    ///
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - loader: gives the weights.
    ///   - rope: the rotary embedding of attention and indexer.
    /// - Throws: `SparseInferenceError.checkpoint` for a weight that is missing or is something else.
    init(configuration: ModelConfiguration, loader: WeightLoader, rope: RotaryEmbedding) throws {
        let prefix = "model.layers.\(configuration.layers)."
        let (vocabulary, hiddenDim) = (configuration.vocabularySize, configuration.hiddenDim)
        let epsilon = configuration.normEpsilon
        embedding = try loader.matrix(prefix + "embed_tokens", outputs: vocabulary, inputs: hiddenDim)
        tokenNorm = try loader.norm(prefix + "enorm", count: hiddenDim, epsilon: epsilon)
        hiddenNorm = try loader.norm(prefix + "hnorm", count: hiddenDim, epsilon: epsilon)
        joining = try loader.linear(prefix + "eh_proj", outputs: hiddenDim, inputs: 2 * hiddenDim)
        layer = try TransformerLayer(
            configuration: configuration,
            layer: configuration.layers,
            loader: loader,
            rope: rope
        )
        norm = try loader.norm(prefix + "shared_head.norm", count: hiddenDim, epsilon: epsilon)
        head = try loader.matrix(prefix + "shared_head.head", outputs: vocabulary, inputs: hiddenDim)
        self.rope = rope
        arithmetic = loader.arithmetic
        workers = loader.workers
    }

    /// Runs rows that follow one another.
    ///
    /// - Parameters:
    ///   - tokens: of each row the token after its own, `[rows]`.
    ///   - hidden: of each row the residual stream behind its own token, normalised, `[rows, hiddenDim]`.
    ///   - cache: what the layer remembers of the rows before; its length is the position of the first.
    ///   - attention: which rows the attention sees.
    /// - Returns: the layer's own residual stream, normalised for its head, `[rows, hiddenDim]`.
    /// - Throws: `SparseAttentionError`, such as `cacheFull`.
    package func callAsFunction(
        _ tokens: [Int],
        hidden: Tensor,
        cache: LayerCache,
        attention: AttentionMode
    ) throws -> Tensor {
        let position = cache.latents.count
        let embedded = arithmetic.rounded(try tokenNorm(arithmetic.rounded(embedding.rows(of: tokens))))
        let earlier = arithmetic.rounded(try hiddenNorm(hidden))
        var stream = try joining(Tensor(besides: embedded, earlier))
        var selections: [TokenSelection?] = [nil]
        try layer(
            &stream,
            sequences: [SequenceRows(0..<tokens.count, cache: cache)],
            rotation: rope.rotation(at: position..<position + tokens.count),
            options: ForwardOptions(attention: attention),
            selections: &selections
        )
        return arithmetic.rounded(try norm(stream))
    }

    /// The scores of every token of the vocabulary, `[rows, vocabularySize]`.
    package func logits(_ rows: Tensor) -> Tensor {
        head.apply(to: rows, workers: workers)
    }
}

extension LanguageModel {
    /// The first prediction layer; nil for a checkpoint that has none, or has been stripped of it.
    ///
    /// Its weights are looked at when this is called: who runs the model alone never needs them.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` for one that lacks a part.
    package func predictionLayer() throws -> PredictionLayer? {
        let joining = "model.layers.\(configuration.layers).eh_proj.weight"
        guard configuration.predictionLayers > 0, checkpoint.entry(joining) != nil else { return nil }
        return try PredictionLayer(
            configuration: configuration,
            loader: WeightLoader(checkpoint, arithmetic: arithmetic, workers: workers),
            rope: rope
        )
    }
}

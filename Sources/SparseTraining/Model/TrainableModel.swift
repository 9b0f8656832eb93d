public import SparseAttention
public import SparseInference

/// A transformer with latent attention and lightning indexer that can be trained: its parameters are handed in.
///
/// A forward pass is float32 and equals `LanguageModel` in float32; the backward pass needs memory linear in the length
/// of the sequence.
public struct TrainableModel: Sendable {
    /// The sizes of the model.
    public let configuration: ModelConfiguration
    /// The threads to use.
    public let workers: Workers

    let layers: [Layer]
    let rope: RotaryEmbedding

    struct Layer: Sendable {
        let prefix: String
        let attention: AttentionBlock
        let feedForward: FeedForwardBlock
    }

    /// A model of the given sizes.
    ///
    /// - Parameters:
    ///   - configuration: the sizes.
    ///   - topK: the tokens the indexer selects; the configuration's when nil.
    ///   - workers: the threads to use.
    /// - Throws: `SparseAttentionError` for sizes that do not fit together.
    public init(_ configuration: ModelConfiguration, topK: Int? = nil, workers: Workers = .all) throws {
        self.configuration = configuration
        self.workers = workers
        let rope = try RotaryEmbedding(
            dim: configuration.ropeDim,
            theta: configuration.rope.theta,
            yarn: configuration.rope.yarn
        )
        self.rope = rope
        layers = try (0..<configuration.layers).map { layer in
            Layer(
                prefix: "model.layers.\(layer).",
                attention: try AttentionBlock(
                    configuration,
                    layer: layer,
                    topK: topK,
                    rope: rope,
                    workers: workers
                ),
                feedForward: FeedForwardBlock(configuration, layer: layer, workers: workers)
            )
        }
    }
}

// MARK: - What it learns from

extension TrainableModel {
    /// A sequence to learn from.
    public struct Example: Sendable {
        /// The tokens.
        public let tokens: [Int]
        /// What predicting each token counts for, `[tokens]`; that of the first is not used.
        public let weights: [Float]

        /// A sequence, with the weight of each of its tokens.
        public init(tokens: [Int], weights: [Float]) {
            precondition(tokens.count == weights.count)
            self.tokens = tokens
            self.weights = weights
        }

        /// A sequence whose tokens all count the same.
        public init(tokens: [Int], weight: Float) {
            self.init(tokens: tokens, weights: Array(repeating: weight, count: tokens.count))
        }
    }

    /// A sequence, what its tokens are to predict, and what was decided when it was written.
    struct Sample: Sendable {
        /// The tokens.
        let tokens: [Int]
        /// What each token but the last is to predict, `[tokens − 1]`.
        let targets: [Operators.CrossEntropy.Target]
        /// The experts and selections to use instead of the model's own choice.
        var replay: Replay?
    }
}

// MARK: - Forward

extension TrainableModel {
    /// What the layers leave for the way back.
    struct LayerTrace {
        let input: Tensor  // the residual stream before attention, [tokens, hiddenDim]
        let attention: AttentionBlock.Trace
        let middle: Tensor  // and before the feed-forward network
        let feedForward: FeedForwardBlock.Trace
    }

    /// A forward pass of some sequences.
    struct Pass {
        let pack: SequencePack
        let rotation: RotaryEmbedding.Rotation
        let hidden: Tensor  // the residual stream at the end, [tokens, hiddenDim]
        let traces: [LayerTrace]
    }

    /// Runs sequences through all layers.
    ///
    /// - Parameters:
    ///   - sequences: their tokens.
    ///   - replays: the experts and selections of each to use; the model's own choice when nil.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to, and whether the indexer is needed.
    /// - Returns: the residual stream, and what the way back needs.
    /// - Throws: `SparseInferenceError` and `SparseAttentionError` for what does not fit the model.
    func forward(
        _ sequences: [[Int]],
        replays: [Replay?]? = nil,
        _ parameters: ParameterSet,
        mode: TrainingMode
    ) throws -> Pass {
        for tokens in sequences { try validate(tokens) }
        try parameters.validate(for: configuration)
        let pack = SequencePack(sequences)
        let replay = try replays.flatMap { try Replay(joining: $0, pack, configuration) }
        let rotation = try rope.rotation(at: pack.positions)
        var hidden = parameters["model.embed_tokens.weight"].gathered(pack.tokens)
        var traces: [LayerTrace] = []
        var selection: TokenSelection?
        for (index, layer) in layers.enumerated() {
            let input = hidden
            let (attended, attention) = try layer.attention.forward(
                try norm(layer.prefix + "input_layernorm.weight", parameters)(input),
                parameters,
                pack: pack,
                rotation: rotation,
                mode: mode,
                replayed: replay?.selections[index],
                selection: &selection
            )
            hidden = hidden.adding(attended)
            let middle = hidden
            let (output, feedForward) = layer.feedForward.forward(
                try norm(layer.prefix + "post_attention_layernorm.weight", parameters)(middle),
                parameters,
                experts: replay?.experts[index]
            )
            hidden = hidden.adding(output)
            traces.append(
                LayerTrace(input: input, attention: attention, middle: middle, feedForward: feedForward)
            )
        }
        return Pass(pack: pack, rotation: rotation, hidden: hidden, traces: traces)
    }

    /// Runs a sequence forward with dense attention and shows each layer's attention with what it left.
    func forEachDenseLayer(
        _ tokens: [Int],
        _ parameters: ParameterSet,
        _ body: (AttentionBlock, AttentionBlock.Trace) throws -> Void
    ) throws {
        let pass = try forward([tokens], parameters, mode: .denseWarmUp)
        for (layer, trace) in zip(layers, pass.traces) {
            try body(layer.attention, trace.attention)
        }
    }

    private func validate(_ tokens: [Int]) throws {
        guard tokens.count >= 2 else {
            let found = "\(tokens.count)"
            throw SparseAttentionError.invalidSetting(name: "tokens", found: found, expected: "at least 2")
        }
        let vocabulary = configuration.vocabularySize
        if let stray = tokens.first(where: { !(0..<vocabulary).contains($0) }) {
            throw SparseInferenceError.request(.unknownToken(stray, vocabularySize: vocabulary))
        }
    }

    static let finalNorm = "model.norm.weight"

    /// The name of the output projection.
    var head: String {
        configuration.tiesEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    }

    func norm(_ name: String, _ parameters: ParameterSet) -> RMSNorm {
        RMSNorm(weight: parameters[name], epsilon: Float(configuration.normEpsilon))
    }
}

extension Tensor {
    /// The sum of two tensors of one shape.
    func adding(_ other: Tensor) -> Tensor {
        var sum = self
        sum.add(other)
        return sum
    }
}

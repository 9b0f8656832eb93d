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

    private let layers: [Layer]
    let rope: RotaryEmbedding

    private struct Layer: Sendable {
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

// MARK: - A step

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

    /// What one sequence gave.
    public struct Outcome: Sendable {
        /// The loss of predicting each token but the first, in nats, not weighted, `[tokens − 1]`; empty when the trunk is
        /// not trained.
        public let losses: [Float]
        /// The indexer's loss of each layer and query token, in nats, not weighted; empty when it is not trained.
        public let indexerLosses: [[Float]]
        /// The tokens each expert of each layer was given; empty for dense layers.
        public let loads: [[Int]]
        /// How far the indexers would have chosen what was replayed.
        public let agreement: SelectionAgreement
    }

    /// Runs a sequence forward and back and adds the gradients of its parameters.
    ///
    /// - Parameters:
    ///   - example: the sequence.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to and what to train.
    ///   - indexerWeight: what the indexer's loss of one query token and layer counts for.
    ///   - gradients: added to.
    /// - Returns: losses and loads.
    /// - Throws: `SparseInferenceError` for a token outside the vocabulary, or parameters that are not those of the model;
    ///   `SparseAttentionError`, such as `invalidSetting` for a sequence of fewer than two tokens.
    public func accumulate(
        _ example: Example,
        _ parameters: ParameterSet,
        mode: TrainingMode,
        indexerWeight: Float = 1,
        into gradients: inout ParameterSet
    ) throws -> Outcome {
        let targets = zip(example.tokens, example.weights).dropFirst().map {
            Operators.CrossEntropy.Target(token: $0, weight: $1)
        }
        return try accumulate(
            example.tokens,
            targets: targets,
            parameters,
            mode: mode,
            indexerWeight: indexerWeight,
            into: &gradients
        )
    }

    /// The same for targets of any kind.
    ///
    /// - Parameters:
    ///   - tokens: the sequence.
    ///   - targets: what each token but the last is to predict.
    ///   - replay: the experts and selections to use instead of the model's own choice.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to and what to train.
    ///   - indexerWeight: what the indexer's loss of one query token and layer counts for.
    ///   - weigh: what each target counts for, by its loss; what the targets say when nil.
    ///   - gradients: added to.
    /// - Returns: losses and loads.
    /// - Throws: as the other.
    func accumulate(
        _ tokens: [Int],
        targets: [Operators.CrossEntropy.Target],
        replay: Replay? = nil,
        _ parameters: ParameterSet,
        mode: TrainingMode,
        indexerWeight: Float = 1,
        weigh: (([Float]) -> [Float])? = nil,
        into gradients: inout ParameterSet
    ) throws -> Outcome {
        try validate(tokens)
        try parameters.validate(for: configuration)
        let rotation = try rope.rotation(at: 0..<tokens.count)
        let pass = try forward(tokens, parameters, rotation: rotation, mode: mode, replay: replay)
        var gradient: Tensor?
        var losses: [Float] = []
        if mode.trainsTrunk {
            let result = predict(targets, weigh, pass.hidden, parameters, into: &gradients)
            (gradient, losses) = (result.gradient, result.losses)
        }
        var indexerLosses: [[Float]] = []
        for (layer, trace) in zip(layers, pass.traces).reversed() {
            if let current = gradient {
                gradient = current.adding(
                    try feedForwardBackward(layer, trace, current, parameters, mode, &gradients)
                )
            }
            let result = try layer.attention.backward(
                gradient,
                trace.attention,
                parameters,
                rotation: rotation,
                objective: .init(
                    trainsTrunk: mode.trainsTrunk,
                    indexerWeight: mode.trainsIndexer ? indexerWeight : nil
                ),
                into: &gradients
            )
            if let loss = result.indexerLoss { indexerLosses.insert(loss.elements, at: 0) }
            if let current = gradient, let input = result.input {
                gradient = current.adding(
                    normBackward(
                        input,
                        trace.input,
                        layer.prefix + "input_layernorm.weight",
                        parameters,
                        &gradients
                    )
                )
            }
        }
        if let gradient { addEmbedding(gradient, tokens, parameters, &gradients) }
        return Outcome(
            losses: losses,
            indexerLosses: indexerLosses,
            loads: pass.traces.map { $0.feedForward?.routed?.load ?? [] },
            agreement: pass.traces.compactMap(\.attention.agreement).reduce(into: .init()) { $0 += $1 }
        )
    }

    /// Runs a sequence forward with dense attention and shows each layer's attention with what it left.
    func forEachDenseLayer(
        _ tokens: [Int],
        _ parameters: ParameterSet,
        _ body: (AttentionBlock, AttentionBlock.Trace) throws -> Void
    ) throws {
        try validate(tokens)
        try parameters.validate(for: configuration)
        let rotation = try rope.rotation(at: 0..<tokens.count)
        let pass = try forward(tokens, parameters, rotation: rotation, mode: .denseWarmUp)
        for (layer, trace) in zip(layers, pass.traces) {
            try body(layer.attention, trace.attention)
        }
    }

    static let finalNorm = "model.norm.weight"

    var head: String {
        configuration.tiesEmbeddings ? "model.embed_tokens.weight" : "lm_head.weight"
    }

    func validate(_ tokens: [Int]) throws {
        guard tokens.count >= 2 else {
            let found = "\(tokens.count)"
            throw SparseAttentionError.invalidSetting(name: "tokens", found: found, expected: "at least 2")
        }
        let vocabulary = configuration.vocabularySize
        if let stray = tokens.first(where: { !(0..<vocabulary).contains($0) }) {
            throw SparseInferenceError.request(.unknownToken(stray, vocabularySize: vocabulary))
        }
    }

    /// What the layers leave for the way back.
    struct LayerTrace {
        let input: Tensor  // the residual stream before attention, [tokens, hiddenDim]
        let attention: AttentionBlock.Trace
        let middle: Tensor  // and before the feed-forward network
        let feedForward: FeedForwardBlock.Trace?
    }

    func forward(
        _ tokens: [Int],
        _ parameters: ParameterSet,
        rotation: RotaryEmbedding.Rotation,
        mode: TrainingMode,
        replay: Replay? = nil
    ) throws -> (hidden: Tensor, traces: [LayerTrace]) {
        try replay?.validate(tokens: tokens.count, configuration)
        var hidden = parameters["model.embed_tokens.weight"].gathered(tokens)
        var traces: [LayerTrace] = []
        var selection: TokenSelection?
        for (index, layer) in layers.enumerated() {
            let input = hidden
            let normalised = try norm(layer.prefix + "input_layernorm.weight", parameters)(input)
            let (attended, attention) = try layer.attention.forward(
                normalised,
                parameters,
                rotation: rotation,
                mode: mode,
                replayed: mode.attention == .sparse ? replay?.selections[index] : nil,
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
        return (hidden, traces)
    }

    /// The loss of every prediction, and the gradient of the residual stream.
    private func predict(
        _ targets: [Operators.CrossEntropy.Target],
        _ weigh: (([Float]) -> [Float])?,
        _ hidden: Tensor,
        _ parameters: ParameterSet,
        into gradients: inout ParameterSet
    ) -> (gradient: Tensor, losses: [Float]) {
        guard let normalised = try? norm(Self.finalNorm, parameters)(hidden) else {
            preconditionFailure("the norm has another width")
        }
        // The last token predicts nothing.
        let count = targets.count
        let (rows, weight) = (normalised.rows(0..<count), parameters[head])
        var targets = targets
        if let weigh {
            let losses = Operators.CrossEntropy.losses(rows, weight, targets: targets, workers: workers)
            for (index, weight) in weigh(losses).enumerated() { targets[index].weight = weight }
        }
        let result = Operators.CrossEntropy.run(rows, weight, targets: targets, workers: workers)
        gradients.accumulate(head, result.weight)
        var gradient = Tensor(repeating: 0, shape: hidden.shape)
        gradient.setRows(0..<count, to: result.input)
        return (normBackward(gradient, hidden, Self.finalNorm, parameters, &gradients), result.losses)
    }

    private func feedForwardBackward(
        _ layer: Layer,
        _ trace: LayerTrace,
        _ gradient: Tensor,
        _ parameters: ParameterSet,
        _ mode: TrainingMode,
        _ gradients: inout ParameterSet
    ) throws -> Tensor {
        guard let feedForward = trace.feedForward else { return Tensor(shape: gradient.shape) }
        let input = try layer.feedForward.backward(
            gradient,
            feedForward,
            parameters,
            balanceLoss: mode.balanceLoss,
            into: &gradients
        )
        return normBackward(
            input,
            trace.middle,
            layer.prefix + "post_attention_layernorm.weight",
            parameters,
            &gradients
        )
    }

    private func normBackward(
        _ gradient: Tensor,
        _ input: Tensor,
        _ name: String,
        _ parameters: ParameterSet,
        _ gradients: inout ParameterSet
    ) -> Tensor {
        let result = Operators.RootMeanSquareNorm.backward(
            gradient,
            input: input,
            norm: norm(name, parameters),
            workers: workers
        )
        gradients.accumulate(name, result.weight)
        return result.input
    }

    private func addEmbedding(
        _ gradient: Tensor,
        _ tokens: [Int],
        _ parameters: ParameterSet,
        _ gradients: inout ParameterSet
    ) {
        let name = "model.embed_tokens.weight"
        if gradients.find(name) == nil { gradients[name] = Tensor(shape: parameters[name].shape) }
        gradients.mutate(name) { embedding in
            for (row, token) in tokens.enumerated() {
                embedding.add(gradient, row: row, times: 1, toRow: token)
            }
        }
    }

    func norm(_ name: String, _ parameters: ParameterSet) -> RMSNorm {
        RMSNorm(weight: parameters[name], epsilon: Float(configuration.normEpsilon))
    }
}

extension Tensor {
    /// The sum of two tensors of one shape.
    fileprivate func adding(_ other: Tensor) -> Tensor {
        var sum = self
        sum.add(other)
        return sum
    }
}

import SparseAttention
import SparseInference

extension TrainableModel {
    /// What some sequences gave.
    public struct Outcome: Sendable {
        /// The loss of predicting each token but the first of each sequence, in nats, not weighted,
        /// `[sequences][tokens − 1]`; empty when the trunk is not trained.
        public let losses: [[Float]]
        /// The indexer's loss of each layer and query token, those of one sequence behind the other, in nats, not weighted;
        /// empty when it is not trained.
        public let indexerLosses: [[Float]]
        /// The tokens each expert of each layer was given; empty for dense layers.
        public let loads: [[Int]]
        /// How far the indexers would have chosen what was replayed.
        public let agreement: SelectionAgreement
    }

    /// Runs sequences forward and back, as one, and adds the gradients of the parameters.
    ///
    /// Each token attends to its own sequence; what several short sequences share is the cost of a product.
    ///
    /// - Parameters:
    ///   - examples: the sequences.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to and what to train.
    ///   - indexerWeight: what the indexer's loss of one query token and layer counts for.
    ///   - gradients: added to.
    /// - Returns: losses and loads.
    /// - Throws: `SparseInferenceError` for a token outside the vocabulary, or parameters that are not those of the model;
    ///   `SparseAttentionError`, such as `invalidSetting` for a sequence of fewer than two tokens.
    public func accumulate(
        _ examples: [Example],
        _ parameters: ParameterSet,
        mode: TrainingMode,
        indexerWeight: Float = 1,
        into gradients: inout ParameterSet
    ) throws -> Outcome {
        let samples = examples.map { example in
            Sample(
                tokens: example.tokens,
                targets: zip(example.tokens, example.weights).dropFirst().map {
                    Operators.CrossEntropy.Target(token: $0, weight: $1)
                }
            )
        }
        return try accumulate(
            samples,
            parameters,
            mode: mode,
            indexerWeight: indexerWeight,
            into: &gradients
        )
    }

    /// The same for targets of any kind.
    ///
    /// - Parameters:
    ///   - samples: the sequences.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to and what to train.
    ///   - indexerWeight: what the indexer's loss of one query token and layer counts for.
    ///   - weigh: what the targets of a sequence count for, by their losses; what they say themselves when nil.
    ///   - gradients: added to.
    /// - Returns: losses and loads.
    /// - Throws: as the other.
    func accumulate(
        _ samples: [Sample],
        _ parameters: ParameterSet,
        mode: TrainingMode,
        indexerWeight: Float = 1,
        weigh: ((_ sequence: Int, _ losses: [Float]) -> [Float])? = nil,
        into gradients: inout ParameterSet
    ) throws -> Outcome {
        let pass = try forward(
            samples.map(\.tokens),
            replays: samples.map(\.replay),
            parameters,
            mode: mode
        )
        var gradient: Tensor?
        var losses: [[Float]] = []
        if mode.trainsTrunk {
            (gradient, losses) = predict(samples, weigh, pass, parameters, into: &gradients)
        }
        var indexerLosses: [[Float]] = []
        for (layer, trace) in zip(layers, pass.traces).reversed() {
            if let current = gradient {
                gradient = current.adding(
                    try feedForwardBackward(layer, trace, pass.pack, current, parameters, mode, &gradients)
                )
            }
            let result = try layer.attention.backward(
                gradient,
                trace.attention,
                parameters,
                rotation: pass.rotation,
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
        if let gradient { addEmbedding(gradient, pass.pack.tokens, parameters, &gradients) }
        return Outcome(
            losses: losses,
            indexerLosses: indexerLosses,
            loads: pass.traces.map { $0.feedForward.routed?.load ?? [] },
            agreement: pass.traces.compactMap(\.attention.agreement).reduce(into: .init()) { $0 += $1 }
        )
    }

    /// The loss of every prediction, and the gradient of the residual stream.
    private func predict(
        _ samples: [Sample],
        _ weigh: ((Int, [Float]) -> [Float])?,
        _ pass: Pass,
        _ parameters: ParameterSet,
        into gradients: inout ParameterSet
    ) -> (gradient: Tensor, losses: [[Float]]) {
        var targets = samples.flatMap(\.targets)
        let predicting = pass.pack.predicting
        let (rows, weight) = (predictions(of: pass, parameters), parameters[head])
        if let weigh {
            let losses = Operators.CrossEntropy.losses(rows, weight, targets: targets, workers: workers)
            let weights = split(losses, among: samples).enumerated().flatMap(weigh)
            for (index, weight) in weights.enumerated() { targets[index].weight = weight }
        }
        let result = Operators.CrossEntropy.run(rows, weight, targets: targets, workers: workers)
        gradients.accumulate(head, result.weight)
        var gradient = Tensor(repeating: 0, shape: pass.hidden.shape)
        for (index, row) in predicting.enumerated() {
            gradient.add(result.input, row: index, times: 1, toRow: row)
        }
        return (
            normBackward(gradient, pass.hidden, Self.finalNorm, parameters, &gradients),
            split(result.losses, among: samples)
        )
    }

    private func feedForwardBackward(
        _ layer: Layer,
        _ trace: LayerTrace,
        _ pack: SequencePack,
        _ gradient: Tensor,
        _ parameters: ParameterSet,
        _ mode: TrainingMode,
        _ gradients: inout ParameterSet
    ) throws -> Tensor {
        let input = try layer.feedForward.backward(
            gradient,
            trace.feedForward,
            parameters,
            pack: pack,
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
}

// MARK: - Predictions

extension TrainableModel {
    /// The rows that predict a token, normalised, `[predictions, hiddenDim]`.
    private func predictions(of pass: Pass, _ parameters: ParameterSet) -> Tensor {
        guard let rows = try? norm(Self.finalNorm, parameters)(pass.hidden.gathered(pass.pack.predicting))
        else {
            preconditionFailure("the norm has another width")
        }
        return rows
    }

    private func split(_ losses: [Float], among samples: [Sample]) -> [[Float]] {
        var start = 0
        return samples.map { sample in
            defer { start += sample.targets.count }
            return Array(losses[start..<start + sample.targets.count])
        }
    }

    /// The log-probability of what each token but the last is to predict, given those before it.
    ///
    /// - Parameters:
    ///   - samples: the sequences.
    ///   - parameters: those of the model.
    ///   - attention: which tokens the attention sees.
    /// - Returns: `[sequences][tokens − 1]`.
    /// - Throws: as `accumulate`.
    func logProbabilities(
        _ samples: [Sample],
        _ parameters: ParameterSet,
        attention: TrainingMode.Attention
    ) throws -> [[Float]] {
        let pass = try forward(
            samples.map(\.tokens),
            replays: samples.map(\.replay),
            parameters,
            mode: TrainingMode(attention: attention, trainsTrunk: false, trainsIndexer: false)
        )
        let losses = Operators.CrossEntropy.losses(
            predictions(of: pass, parameters),
            parameters[head],
            targets: samples.flatMap(\.targets),
            workers: workers
        )
        return split(losses, among: samples).map { $0.map { -$0 } }
    }
}

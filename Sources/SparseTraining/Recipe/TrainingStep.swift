import SparseAttention
import SparseInference

/// Computes the gradients of one step over several sequences.
struct TrainingStep: Sendable {
    private let packed: PackedGradients

    /// What a step gave.
    struct Result {
        var gradients = ParameterSet()
        /// The mean loss in nats, tokens weighted; nil where the trunk is not trained.
        var loss: Double?
        /// The mean loss of the answers' tokens; nil where there are none.
        var answerLoss: Double?
        /// The mean over query tokens of the indexers' losses, added over layers; nil where they are not trained.
        var indexerLoss: Double?
        /// The tokens given to each expert of each layer.
        var loads: [[Int]] = []
        /// The tokens of all sequences.
        var tokens = 0
    }

    init(_ configuration: ModelConfiguration, topK: Int?, workers: Workers) throws {
        packed = try PackedGradients(configuration, topK: topK, workers: workers)
    }

    /// Runs all sequences forward and back.
    ///
    /// - Parameters:
    ///   - items: the sequences.
    ///   - parameters: those of the model.
    ///   - mode: what to attend to and what to train.
    /// - Returns: gradients of the mean loss.
    /// - Throws: what `TrainableModel` throws.
    func callAsFunction(_ items: [TaskItem], _ parameters: ParameterSet, mode: TrainingMode) throws -> Result
    {
        let weight = items.reduce(0) { $0 + $1.weights.dropFirst().reduce(0, +) }
        let tokens = items.reduce(0) { $0 + $1.tokens.count }
        let examples = items.map { item in
            TrainableModel.Example(tokens: item.tokens, weights: item.weights.map { $0 / max(weight, 1e-6) })
        }
        let (gradients, outcomes) = try packed.run(examples.map(\.tokens.count)) { model, pack, gradients in
            try model.accumulate(
                Array(examples[pack]),
                parameters,
                mode: mode,
                indexerWeight: 1 / Float(tokens),
                into: &gradients
            )
        }
        var result = Result(gradients: gradients, tokens: tokens)
        if mode.trainsTrunk {
            let losses = outcomes.flatMap(\.losses)
            result.loss = zip(losses, examples).reduce(0) { sum, pair in
                zip(pair.0, pair.1.weights.dropFirst()).reduce(sum) { $0 + Double($1.0) * Double($1.1) }
            }
            result.answerLoss = answerLoss(losses, items)
        }
        if mode.trainsIndexer {
            let sum = outcomes.reduce(0.0) { $1.indexerLosses.joined().reduce($0) { $0 + Double($1) } }
            result.indexerLoss = sum / Double(tokens)
        }
        result.loads = outcomes.map(\.loads).summed
        return result
    }

    private func answerLoss(_ losses: [[Float]], _ items: [TaskItem]) -> Double? {
        let answered = zip(losses, items).flatMap { losses, item in
            item.questions.flatMap { $0.turns.joined().map { Double(losses[$0 - 1]) } }
        }
        return answered.isEmpty ? nil : answered.reduce(0, +) / Double(answered.count)
    }
}

extension [[[Int]]] {
    /// The sums of counts for each layer and expert.
    var summed: [[Int]] {
        dropFirst().reduce(first ?? []) { zip($0, $1).map { zip($0, $1).map(+) } }
    }
}

import SparseAttention
import SparseInference

/// Computes the gradients of one step over several sequences.
///
/// Sequences run side by side, each on one thread, or one after the other on all of them; their gradients are added in
/// their order, so either way and with any number of threads every bit is the same.
struct TrainingStep: Sendable {
    private let alone: TrainableModel  // on one thread
    private let together: TrainableModel  // on all of them
    private let workers: Workers

    /// Sequences that run side by side at most: each holds gradients of its own.
    private static let group = 8
    /// From this many sequences on they run side by side.
    private static let enoughSequences = 4

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
        alone = try TrainableModel(configuration, topK: topK, workers: .one)
        together = try TrainableModel(configuration, topK: topK, workers: workers)
        self.workers = workers
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
        var result = Result()
        var (loss, answers, indexer) = (0.0, (sum: 0.0, count: 0), 0.0)
        @Sendable func run(_ model: TrainableModel, _ index: Int) throws -> SequenceResult {
            var gradients = ParameterSet()
            let outcome = try model.accumulate(
                examples[index],
                parameters,
                mode: mode,
                indexerWeight: 1 / Float(tokens),
                into: &gradients
            )
            return SequenceResult(outcome: outcome, gradients: gradients)
        }
        func add(_ part: SequenceResult, _ index: Int) {
            for name in part.gradients.names {
                result.gradients.accumulate(name, part.gradients[name])
            }
            loss += zip(part.outcome.losses, examples[index].weights.dropFirst()).reduce(0) {
                $0 + Double($1.0) * Double($1.1)
            }
            if !part.outcome.losses.isEmpty {
                for question in items[index].questions {
                    for token in question.turns.joined() {
                        answers.sum += Double(part.outcome.losses[token - 1])
                        answers.count += 1
                    }
                }
            }
            indexer += part.outcome.indexerLosses.reduce(0) { $0 + $1.reduce(0) { $0 + Double($1) } }
            let loads = part.outcome.loads
            result.loads = result.loads.isEmpty ? loads : zip(result.loads, loads).map { zip($0, $1).map(+) }
        }
        if items.count < Self.enoughSequences {
            for index in items.indices {
                add(try run(together, index), index)
            }
        } else {
            for start in stride(from: 0, to: items.count, by: Self.group) {
                let group = start..<min(start + Self.group, items.count)
                let parts = try workers.map(count: group.count) { try run(alone, group.lowerBound + $0) }
                for (index, part) in zip(group, parts) { add(part, index) }
            }
        }
        result.tokens = tokens
        result.loss = mode.trainsTrunk ? loss : nil
        result.answerLoss = answers.count > 0 ? answers.sum / Double(answers.count) : nil
        result.indexerLoss = mode.trainsIndexer ? indexer / Double(tokens) : nil
        return result
    }

    private struct SequenceResult: Sendable {
        let outcome: TrainableModel.Outcome
        let gradients: ParameterSet
    }
}

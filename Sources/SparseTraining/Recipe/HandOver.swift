import SparseInference

/// What is checked where a stage that has to do with indexers begins and ends: a line of `handovers.jsonl`.
public struct HandOver: Equatable, Sendable, Codable {
    /// When it was checked.
    public enum Moment: String, Sendable, Codable {
        /// Before the stage changed anything.
        case before
        /// After the closed-form start, before the first step.
        case started
        /// After the last step.
        case after
    }

    /// The stage's name.
    public var stage: String
    /// When.
    public var moment: Moment
    /// The tokens of the text it was checked on, which no stage trains on.
    public var length: Int
    /// The tokens the indexer selects.
    public var k: Int
    /// What selections keep of dense attention; nil for texts no longer than twice k.
    public var mass: AttentionMass?
    /// The norm of the trunk's gradient of the indexers' loss: 0, or the run stops.
    public var trunkGradientOfIndexerLoss: Double
    /// The norm of the indexers' gradient of the language model's loss: 0, or the run stops.
    public var indexerGradientOfLanguageLoss: Double

    /// Query tokens the attention mass is taken at, about.
    static let massSamples = 128
}

extension TrainableModel {
    /// Checks that the indexers and the trunk learn from their own loss alone, and what selections keep.
    func handOver(
        _ stage: Recipe.Stage,
        _ moment: HandOver.Moment,
        on item: TaskItem,
        _ parameters: ParameterSet
    ) throws -> HandOver {
        func gradients(trainsTrunk: Bool) throws -> ParameterSet {
            var gradients = ParameterSet()
            let mode = TrainingMode(
                attention: stage.mode.attention,
                trainsTrunk: trainsTrunk,
                trainsIndexer: !trainsTrunk
            )
            let example = Example(tokens: item.tokens, weights: item.weights)
            _ = try accumulate([example], parameters, mode: mode, into: &gradients)
            return gradients
        }
        let k = stage.topK ?? configuration.indexer?.topK ?? 0
        let queries = item.tokens.count - 2 * k
        let result = HandOver(
            stage: stage.name,
            moment: moment,
            length: item.tokens.count,
            k: k,
            mass: queries > 0
                ? try attentionMass(item.tokens, parameters, every: max(1, queries / HandOver.massSamples))
                : nil,
            trunkGradientOfIndexerLoss: try gradients(trainsTrunk: false).norm { !$0.contains(".indexer.") },
            indexerGradientOfLanguageLoss: try gradients(trainsTrunk: true).norm { $0.contains(".indexer.") }
        )
        guard result.trunkGradientOfIndexerLoss == 0, result.indexerGradientOfLanguageLoss == 0 else {
            throw TrainingFault.mixedLosses(stage: stage.name)
        }
        return result
    }
}

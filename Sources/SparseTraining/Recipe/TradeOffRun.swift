public import Foundation
import SparseAttention
import SparseInference

/// A recipe's last stage, policy optimization, carried out once for each of several weights of one part of the reward.
///
/// | in the folder | what it is |
/// | --- | --- |
/// | `before/` | a ``TrainingRun`` of the stages before the last, if any |
/// | `PART-WEIGHT/` | a ``TrainingRun`` of the last, begun with what `before/` ends with |
///
/// Source: V3.2 report, "Mixed RL Training": length against accuracy, consistency of language against accuracy.
public final class TradeOffRun {
    /// The recipe.
    public let recipe: Recipe
    /// The part of the reward whose weight changes.
    public let part: RewardWeights.Part
    /// The weights.
    public let weights: [Float]

    private let configuration: URL
    private let base: URL?
    private let folder: URL
    private let threads: Int?

    private static let beforeName = "before"

    /// Begins, or goes on with what is in the folder.
    ///
    /// - Parameters:
    ///   - recipe: the recipe's file.
    ///   - part: the part of the reward whose weight changes.
    ///   - weights: each at least 0.
    ///   - configuration: the `config.json` of the model.
    ///   - base: a checkpoint to begin with; random parameters when nil.
    ///   - folder: made when it is not there.
    ///   - threads: the threads to use; all processors when nil.
    /// - Throws: `RecipeFault`, such as for a last stage without policy, or a weight that is none.
    public init(
        recipe: URL,
        part: RewardWeights.Part,
        weights: [Float],
        configuration: URL,
        base: URL? = nil,
        folder: URL,
        threads: Int? = nil
    ) throws {
        self.recipe = try Recipe(contentsOf: recipe)
        (self.part, self.weights) = (part, weights)
        (self.configuration, self.base, self.folder, self.threads) = (configuration, base, folder, threads)
        let last = self.recipe.stages[self.recipe.stages.count - 1]
        try require(last.policy != nil, "\(last.name).policy", "missing", "one in the last stage")
        try require(!weights.isEmpty, "weights", "empty", "at least one")
        for weight in weights { try recipeOf(weight).validate() }
    }

    private var stagesBefore: [Recipe.Stage] { Array(recipe.stages.dropLast()) }

    /// The last stage with a weight.
    private func recipeOf(_ weight: Float) -> Recipe {
        var stage = recipe.stages[recipe.stages.count - 1]
        var rewards = stage.policy?.rewards ?? .init()
        rewards[part] = weight
        stage.policy?.rewards = rewards
        return Recipe(seed: recipe.seed, initialDeviation: recipe.initialDeviation, stages: [stage])
    }

    private func open(_ recipe: Recipe, _ name: String, start: URL?) throws -> TrainingRun {
        try TrainingRun(
            recipe,
            configuration: configuration,
            folder: folder.appendingPathComponent(name),
            start: start,
            threads: threads
        )
    }

    private func name(_ weight: Float) -> String { "\(part.rawValue)-\(weight)" }

    /// Carries out what is left.
    ///
    /// - Parameters:
    ///   - saveInterval: seconds between two states written, at least.
    ///   - progress: told after every step, with the run's name; false stops after the state has been written.
    /// - Returns: whether everything has been done.
    /// - Throws: what `TrainingRun` throws.
    @discardableResult
    public func run(
        saveInterval: Double = 60,
        progress: (String, TrainingRun.Progress) -> Bool = { _, _ in true }
    ) throws -> Bool {
        var start = base
        if let last = stagesBefore.last {
            var before = recipe
            before.stages = stagesBefore
            let run = try open(before, Self.beforeName, start: base)
            guard try run.run(saveInterval: saveInterval, progress: { progress(Self.beforeName, $0) }) else {
                return false
            }
            start = run.folder.appendingPathComponent(last.name)
        }
        for weight in weights {
            let run = try open(recipeOf(weight), name(weight), start: start)
            let isDone = try run.run(saveInterval: saveInterval) { progress(name(weight), $0) }
            guard isDone else { return false }
        }
        return true
    }

    /// What answers are like with a weight.
    public struct Row: Equatable, Sendable, Codable {
        /// The weight; nil for the model before the stage.
        public var weight: Float?
        /// The answers by task.
        public var tasks: [String: AnswerMeasures]
    }

    /// Asks the model before the stage, if there is one, and that of each weight the same questions.
    ///
    /// - Parameter questions: of each task.
    /// - Returns: a row a model.
    /// - Throws: what the models throw.
    public func results(questions: Int = 200) throws -> [Row] {
        let stage = recipe.stages[recipe.stages.count - 1]
        let workers = try threads.map { try Workers(count: $0) } ?? .all
        let evaluation = AnswerEvaluation(stage, seed: recipe.seed, workers: workers)
        func row(_ weight: Float?, _ path: String) throws -> Row {
            let model = try LanguageModel(contentsOf: folder.appendingPathComponent(path), workers: workers)
            return Row(weight: weight, tasks: try evaluation(model, questions: questions))
        }
        let before = try stagesBefore.last.map { [try row(nil, "\(Self.beforeName)/\($0.name)")] } ?? []
        return before + (try weights.map { try row($0, "\(name($0))/\(stage.name)") })
    }
}

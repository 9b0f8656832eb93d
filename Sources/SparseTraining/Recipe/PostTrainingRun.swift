public import Foundation
import SparseAttention
import SparseInference

/// Post-training being carried out in a folder, from which it can go on after any interruption.
public final class PostTrainingRun {
    /// What is carried out.
    public let recipe: PostTraining
    /// Where everything lies.
    public let folder: URL

    private let configuration: URL
    private let base: URL
    private let threads: Int?

    static let recipeName = "posttraining.json"

    /// Begins post-training, or goes on with the one in the folder.
    ///
    /// - Parameters:
    ///   - recipe: the recipe's file.
    ///   - base: the model it begins with, a checkpoint's folder.
    ///   - folder: made when it is not there; one that holds a run has to hold this recipe's.
    ///   - threads: the threads to use; all processors when nil.
    /// - Throws: `RecipeFault`, `TrainingFault.anotherRun`, or what the file system refuses.
    public init(recipe: URL, base: URL, folder: URL, threads: Int? = nil) throws {
        self.recipe = try PostTraining(contentsOf: recipe)
        self.folder = folder
        self.base = base
        self.threads = threads
        configuration = base.appendingPathComponent("config.json")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let (data, copy) = (try Data(contentsOf: recipe), folder.appendingPathComponent(Self.recipeName))
        if let held = try? Data(contentsOf: copy) {
            guard held == data else { throw TrainingFault.anotherRun(file: Self.recipeName) }
        } else {
            try data.write(to: copy, options: .atomic)
        }
    }

    /// Carries out what is left.
    ///
    /// - Parameters:
    ///   - saveInterval: seconds between two states written, at least.
    ///   - progress: told after every step, with the part's name; false stops after the state has been written.
    /// - Returns: whether everything has been done.
    /// - Throws: what `TrainingRun` throws.
    @discardableResult
    public func run(
        saveInterval: Double = 60,
        progress: (String, TrainingRun.Progress) -> Bool = { _, _ in true }
    ) throws -> Bool {
        for part in recipe.parts {
            let isDone = try open(part).run(saveInterval: saveInterval) { progress(part.name, $0) }
            guard isDone else { return false }
        }
        return true
    }

    private func open(_ part: PostTraining.Part) throws -> TrainingRun {
        let own = folder.appendingPathComponent(part.name)
        try FileManager.default.createDirectory(at: own, withIntermediateDirectories: true)
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let file = own.appendingPathComponent("recipe.json")
        try encoder.encode(part.recipe).write(to: file, options: .atomic)
        return try TrainingRun(
            recipe: file,
            configuration: configuration,
            folder: own,
            start: part.start.flatMap(model) ?? base,
            threads: threads
        )
    }

    /// The model a part ends with.
    private func model(_ name: String) -> URL? {
        recipe.parts.first { $0.name == name }?.recipe.stages.last.map {
            folder.appendingPathComponent("\(name)/\($0.name)")
        }
    }

    // MARK: Results

    /// How often a model's answers to questions no stage has asked are right.
    public struct Row: Equatable, Sendable, Codable {
        /// The model: `base`, a specialist, `distilled` or `mixed`.
        public var model: String
        /// The share of right answers by task.
        public var accuracy: [String: Double]
        /// The tokens of an answer, over all tasks.
        public var answerTokens: Double
    }

    /// Asks every model the same questions of every task that a specialist learned by its own answers.
    ///
    /// - Parameters:
    ///   - questions: of each task.
    ///   - attention: which tokens the models' attention sees.
    /// - Returns: a row a model, the base first.
    /// - Throws: what the models throw.
    public func results(questions: Int = 200, attention: TrainingMode.Attention = .sparse) throws -> [Row] {
        let stages = recipe.specialists.flatMap(\.stages).filter { $0.policy != nil }
        let parts =
            [("base", base)] + recipe.parts.compactMap { part in model(part.name).map { (part.name, $0) } }
        let workers = try threads.map { try Workers(count: $0) } ?? .all
        return try parts.map { name, folder in
            let model = try LanguageModel(contentsOf: folder, workers: workers)
            var row = Row(model: name, accuracy: [:], answerTokens: 0)
            var (lengths, count) = (0, 0)
            for stage in stages {
                for kind in stage.shares.filter({ $0.share > 0 }).map(\.kind)
                where row.accuracy[kind.rawValue] == nil {
                    let answers = try answers(of: model, to: kind, stage, questions, attention, workers)
                    row.accuracy[kind.rawValue] =
                        answers.reduce(0) { $0 + Double($1.outcome) } / Double(questions)
                    lengths += answers.reduce(0) { $0 + $1.length }
                    count += answers.count
                }
            }
            row.answerTokens = Double(lengths) / Double(max(count, 1))
            return row
        }
    }

    private func answers(
        of model: LanguageModel,
        to kind: TaskKind,
        _ stage: Recipe.Stage,
        _ questions: Int,
        _ attention: TrainingMode.Attention,
        _ workers: Workers
    ) throws -> [(outcome: Float, length: Int)] {
        let stream = stage.stream(seed: recipe.seed, .evaluation)
        let options = RolloutOptions(
            maxTokens: stage.policy?.answerTokens ?? 1,
            attention: attention.answering
        )
        let seed = recipe.seed
        return try workers.map(count: questions) { index in
            let (rollout, outcome) = try model.rollout(
                stream.item(kind, index, length: stage.length),
                options: options,
                seed: seed &+ UInt64(index)
            )
            return (outcome, rollout.logProbabilities.count)
        }
    }
}

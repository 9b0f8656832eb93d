public import Foundation
import SparseAttention
import SparseInference

/// Post-training being carried out in a folder, from which it can go on after any interruption.
public final class PostTrainingRun {
    /// What is carried out.
    public let recipe: PostTraining
    /// Where everything lies.
    public let folder: URL

    private let base: URL  // with the sizes of all models
    private let threads: Int?

    static let recipeName = "posttraining.json"
    static let baseName = "base"

    /// What lies in the folder beside the parts, which therefore have other names.
    static let names: Set = [recipeName, baseName, "start"]

    /// Begins post-training, or goes on with the one in the folder.
    ///
    /// - Parameters:
    ///   - recipe: what to carry out.
    ///   - base: the model it begins with, a checkpoint's folder.
    ///   - configuration: the `config.json` of all models; the base's when nil. It may have more tokens than the base, and select
    ///     another number of them.
    ///   - folder: made when it is not there; one that holds a run has to hold this recipe's.
    ///   - threads: the threads to use; all processors when nil.
    /// - Throws: `RecipeFault`, `TrainingFault.anotherRun`, or what the file system refuses.
    public init(
        _ recipe: PostTraining,
        base: URL,
        configuration: URL? = nil,
        folder: URL,
        threads: Int? = nil
    ) throws {
        self.recipe = recipe
        self.folder = folder
        self.threads = threads
        self.base = folder.appendingPathComponent(Self.baseName)
        let files = TrainingFiles(folder: folder)
        try files.keep(recipe.json, as: Self.recipeName)
        guard let start = try files.start(base) else { return }
        let configuration = configuration ?? start.appendingPathComponent("config.json")
        try writeBase(from: start, configuration)
    }

    /// Writes the base in the sizes of all models, once.
    private func writeBase(from start: URL, _ file: URL) throws {
        let files = TrainingFiles(folder: base)
        let configuration = try ModelConfiguration(contentsOf: file)
        try files.keep(Data(contentsOf: file), as: "config.json")
        let model = base.appendingPathComponent("model.safetensors")
        guard !FileManager.default.fileExists(atPath: model.path) else { return }
        try TaskVocabulary(limit: configuration.vocabularySize).write(to: base)
        try ParameterSet(contentsOf: start, configuration: configuration, indexersFrom: recipe.seed)
            .write(to: model, dataType: .float32)
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
        try TrainingRun(
            part.recipe,
            configuration: base.appendingPathComponent("config.json"),
            folder: folder.appendingPathComponent(part.name),
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

    /// What the steps of each part told so far, in the order of the parts.
    ///
    /// - Throws: as `TrainingLog`.
    public var logs: [(part: String, log: TrainingLog)] {
        get throws {
            try recipe.parts.compactMap { part in
                let file = TrainingFiles(folder: folder.appendingPathComponent(part.name)).log
                guard FileManager.default.fileExists(atPath: file.path) else { return nil }
                return (part.name, try TrainingLog(contentsOf: file))
            }
        }
    }

    // MARK: Results

    /// What a model's answers to questions that no stage asks are like.
    public struct Row: Equatable, Sendable, Codable {
        /// The model: `base`, a specialist, `distilled` or `mixed`.
        public var model: String
        /// Its answers by task.
        public var tasks: [String: AnswerMeasures]
    }

    /// Asks every model the same questions of every task that a specialist learned by its own answers.
    ///
    /// - Parameter questions: of each task.
    /// - Returns: a row a model, the base first.
    /// - Throws: what the models throw.
    public func results(questions: Int = 200) throws -> [Row] {
        let workers = try threads.map { try Workers(count: $0) } ?? .all
        let parts =
            [(Self.baseName, base)]
            + recipe.parts.compactMap { part in model(part.name).map { (part.name, $0) } }
        return try parts.map { name, folder in
            let model = try LanguageModel(contentsOf: folder, workers: workers)
            var row = Row(model: name, tasks: [:])
            for stage in recipe.specialists.flatMap(\.stages) where stage.policy != nil {
                let evaluation = AnswerEvaluation(stage, seed: recipe.seed, workers: workers)
                row.tasks.merge(try evaluation(model, questions: questions)) { first, _ in first }
            }
            return row
        }
    }
}

public import Foundation

/// Post-training carried out with several seeds, with sparse attention and with dense as its control.
///
/// | in the folder | what it is |
/// | --- | --- |
/// | `sparse-SEED/` | a ``PostTrainingRun`` |
/// | `dense-SEED/` | the same with dense attention in every stage |
///
/// Source: V3.2-Exp report, figure 2 and table 1, compares the two.
public final class PostTrainingStudy {
    /// One of the runs.
    public struct Run {
        /// Which tokens the attention sees.
        public let attention: TrainingMode.Attention
        /// What is carried out.
        public let run: PostTrainingRun

        /// The name of its folder.
        public var name: String { "\(attention.rawValue)-\(run.recipe.seed)" }
    }

    /// The runs, those of one seed side by side.
    public let runs: [Run]

    /// Begins a study, or goes on with the one in the folder.
    ///
    /// - Parameters:
    ///   - recipe: the recipe's file; it says the first seed, the others follow it.
    ///   - base: the model every run begins with, a checkpoint's folder.
    ///   - configuration: the `config.json` of all models; the base's when nil.
    ///   - folder: made when it is not there.
    ///   - seeds: how many.
    ///   - hasControl: whether every run is carried out with dense attention, too.
    ///   - threads: the threads to use; all processors when nil.
    /// - Throws: as `PostTrainingRun`.
    public init(
        recipe: URL,
        base: URL,
        configuration: URL? = nil,
        folder: URL,
        seeds: Int = 1,
        hasControl: Bool = false,
        threads: Int? = nil
    ) throws {
        let recipe = try PostTraining(contentsOf: recipe)
        let kinds: [TrainingMode.Attention] = hasControl ? [.sparse, .dense] : [.sparse]
        runs = try (0..<UInt64(max(seeds, 1))).flatMap { offset in
            try kinds.map { attention in
                var recipe = attention == .dense ? recipe.control : recipe
                recipe.seed &+= offset
                let name = "\(attention.rawValue)-\(recipe.seed)"
                let run = try PostTrainingRun(
                    recipe,
                    base: base,
                    configuration: configuration,
                    folder: folder.appendingPathComponent(name),
                    threads: threads
                )
                return Run(attention: attention, run: run)
            }
        }
    }

    /// Carries out what is left.
    ///
    /// - Parameters:
    ///   - saveInterval: seconds between two states written, at least.
    ///   - progress: told after every step, with the run and its part; false stops after the state has been written.
    /// - Returns: whether everything has been done.
    /// - Throws: what `TrainingRun` throws.
    @discardableResult
    public func run(
        saveInterval: Double = 60,
        progress: (Run, String, TrainingRun.Progress) -> Bool = { _, _, _ in true }
    ) throws -> Bool {
        for run in runs {
            let isDone = try run.run.run(saveInterval: saveInterval) { progress(run, $0, $1) }
            guard isDone else { return false }
        }
        return true
    }

    // MARK: Results

    /// What a model's answers are like over all seeds.
    public struct Row: Equatable, Sendable, Codable {
        /// Which tokens the attention saw.
        public var attention: TrainingMode.Attention
        /// The model: `base`, a specialist, `distilled` or `mixed`.
        public var model: String
        /// How right its answers are, by task.
        public var outcomes: [String: Spread]
        /// The tokens of an answer, the mean over tasks.
        public var answerTokens: Spread
    }

    /// Asks every model of every run, each questions by its own seed.
    ///
    /// - Parameter questions: of each task.
    /// - Returns: a row a model, those with sparse attention first.
    /// - Throws: what the models throw.
    public func results(questions: Int = 200) throws -> [Row] {
        let results = try runs.map { ($0.attention, try $0.run.results(questions: questions)) }
        return [TrainingMode.Attention.sparse, .dense].flatMap { attention in
            let tables = results.filter { $0.0 == attention }.map(\.1)
            return (tables.first ?? []).indices.map { index in
                let rows = tables.map { $0[index] }
                let tasks = rows[0].tasks.keys.sorted()
                return Row(
                    attention: attention,
                    model: rows[0].model,
                    outcomes: Dictionary(
                        uniqueKeysWithValues: tasks.map { task in
                            (task, Spread(rows.compactMap { $0.tasks[task]?.outcome }))
                        }
                    ),
                    answerTokens: Spread(
                        rows.map { row in
                            row.tasks.values.reduce(0) { $0 + $1.answerTokens }
                                / Double(max(row.tasks.count, 1))
                        }
                    )
                )
            }
        }
    }
}

/// A measure over several runs.
public struct Spread: Equatable, Sendable, Codable {
    /// The mean.
    public var mean: Double
    /// The deviation of the sample; 0 for a single run.
    public var deviation: Double

    /// The spread of some values; 0 for none.
    public init(_ values: [Double]) {
        let count = Double(max(values.count, 1))
        let mean = values.reduce(0, +) / count
        self.mean = mean
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        deviation = values.count > 1 ? (squares / (count - 1)).squareRoot() : 0
    }
}

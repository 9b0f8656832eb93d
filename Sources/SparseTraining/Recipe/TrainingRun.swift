public import Foundation
import SparseAttention
public import SparseInference

/// A recipe being carried out in a folder, from which it can go on after any interruption.
///
/// | in the folder | what it is |
/// | --- | --- |
/// | `recipe.json`, `config.json` | what is carried out, on what model |
/// | `tokenizer.json`, `tokenizer_config.json` | the tokenizer of the tasks |
/// | `start` | the path of the checkpoint it began with, if any |
/// | `log.jsonl` | one line a step |
/// | `handovers.jsonl` | what was checked where stages with indexers begin and end |
/// | `state/` | parameters, optimizer and position, replaced as a whole |
/// | `current/` | the model of the last state, in Hugging Face form, to look at |
/// | `NAME/` | the model after the stage of this name |
/// | `.policy/`, `.reference/` | in `policyOptimization`: the model that answers, and the one the stage began with |
public final class TrainingRun {
    /// What is carried out.
    public let recipe: Recipe
    /// The sizes of the model.
    public let configuration: ModelConfiguration
    /// Where everything lies.
    public let folder: URL

    private let workers: Workers
    private var state: TrainingState
    private let files: TrainingFiles
    private var distillation: Distillation?  // of the stage under way

    /// Begins a run, or goes on with the one in the folder.
    ///
    /// - Parameters:
    ///   - recipe: the recipe's file.
    ///   - configuration: the `config.json` of the model.
    ///   - folder: made when it is not there; one that holds a run has to hold this recipe's.
    ///   - start: a checkpoint to begin with; random parameters when nil. It may lack the indexers: a model that was never
    ///     sparse.
    ///   - threads: the threads to use; all processors when nil.
    /// - Throws: `RecipeFault`, `SparseInferenceError`, or what the file system refuses.
    public init(recipe: URL, configuration: URL, folder: URL, start: URL? = nil, threads: Int? = nil) throws {
        self.recipe = try Recipe(contentsOf: recipe)
        self.configuration = try ModelConfiguration(contentsOf: configuration)
        self.folder = folder
        workers = try threads.map { try Workers(count: $0) } ?? .all
        try self.recipe.requireVocabulary(self.configuration.vocabularySize)
        let topK = self.configuration.indexer?.topK
        // Answers are written with the model's own selection.
        if let stage = self.recipe.stages.first(where: {
            $0.policy != nil && $0.topK != nil && $0.topK != topK
        }) {
            throw RecipeFault.invalid(
                field: "\(stage.name).topK",
                found: "\(stage.topK ?? 0)",
                expected: topK.map { "\($0), the model's, or none" } ?? "none"
            )
        }
        files = TrainingFiles(folder: folder)
        try files.begin(
            recipe: recipe,
            configuration: configuration,
            vocabulary: TaskVocabulary(limit: self.configuration.vocabularySize)
        )
        let start = try files.start(start)
        state =
            try files.readState(self.configuration, recipe: self.recipe)
            ?? TrainingState(parameters: Self.parameters(start, self.configuration, self.recipe))
        try files.truncateLog(after: state, of: self.recipe)
    }

    /// The same for a recipe that is no file yet.
    convenience init(
        _ recipe: Recipe,
        configuration: URL,
        folder: URL,
        start: URL? = nil,
        threads: Int? = nil
    ) throws {
        let files = TrainingFiles(folder: folder)
        try files.keep(recipe.json, as: TrainingFiles.recipeName)
        try self.init(
            recipe: folder.appendingPathComponent(TrainingFiles.recipeName),
            configuration: configuration,
            folder: folder,
            start: start,
            threads: threads
        )
    }

    private static func parameters(
        _ start: URL?,
        _ configuration: ModelConfiguration,
        _ recipe: Recipe
    ) throws -> ParameterSet {
        guard let start else {
            return try ParameterSet(
                random: configuration,
                deviation: recipe.initialDeviation,
                seed: recipe.seed
            )
        }
        return try ParameterSet(contentsOf: start, configuration: configuration, indexersFrom: recipe.seed)
    }

    /// What the steps so far told.
    ///
    /// - Throws: as `TrainingLog`.
    public var log: TrainingLog { get throws { try TrainingLog(contentsOf: files.log) } }

    /// What was checked so far where stages with indexers begin and end.
    ///
    /// - Throws: `RecipeFault.malformed` for a line that is none, or what the file system refuses.
    public var handOvers: [HandOver] { get throws { try files.readHandOvers() } }

    /// What a step tells who watches.
    public struct Progress: Sendable {
        /// The stage's name.
        public let stage: String
        /// The steps of the stage done.
        public let step: Int
        /// The steps of the stage.
        public let steps: Int
        /// The mean loss in nats; nil in the warm-up.
        public let loss: Double?
        /// The mean loss of the answers' tokens; nil in the warm-up.
        public let answerLoss: Double?
        /// The indexers' loss; nil where they are not trained.
        public let indexerLoss: Double?
        /// The norm of the gradient, before it is limited.
        public let gradientNorm: Double
        /// The tokens of the step.
        public let tokens: Int
        /// Seconds the step took.
        public let seconds: Double
        /// How far the busiest expert is above the mean, as a share of it; nil where there are none.
        public let expertViolation: Double?
        /// The share of questions its teachers answered right; nil where it has none.
        public let taught: Double?
        /// What its answers showed; nil where the model writes none.
        public let policy: PolicyMeasures?
    }

    /// Carries out what is left.
    ///
    /// - Parameters:
    ///   - saveInterval: seconds between two states written, at least.
    ///   - progress: told after every step; false stops after the state has been written.
    /// - Returns: whether everything has been done.
    /// - Throws: `TrainingFault.diverged` for a loss that is not finite, and what the file system refuses.
    @discardableResult
    public func run(saveInterval: Double = 60, progress: (Progress) -> Bool = { _ in true }) throws -> Bool {
        var saved = ContinuousClock.now
        while state.stage < recipe.stages.count {
            let stage = recipe.stages[state.stage]
            // A stage begins with an optimizer that has seen nothing.
            if state.step == 0 {
                state.optimizer = AdamW(stage.optimizer ?? .init())
                try begin(stage)
            }
            let step = try TrainingStep(configuration, topK: stage.topK, workers: workers)
            distillation = try stage.distillation.map {
                try Distillation($0, folder: folder, attention: stage.mode.attention, workers: workers)
            }
            while state.step < stage.steps {
                let told = try advance(stage, step)
                let goesOn = progress(told)
                if !goesOn || ContinuousClock.now - saved >= .seconds(saveInterval) {
                    try files.write(state)
                    try files.export(state.parameters, name: "current")
                    saved = .now
                }
                guard goesOn else { return false }
            }
            try handOver(stage, .after)
            try files.export(state.parameters, name: stage.name)
            state.beginNextStage()
            try files.write(state)
        }
        return true
    }

    /// Checks what a stage with indexers is handed, and starts them in closed form if it says so.
    private func begin(_ stage: Recipe.Stage) throws {
        try handOver(stage, .before)
        guard stage.closedFormStart == true else { return }
        let model = try TrainableModel(configuration, topK: stage.topK, workers: workers)
        try model.startIndexers(of: &state.parameters, on: items(stage)[0].tokens)
        try handOver(stage, .started)
    }

    private func handOver(_ stage: Recipe.Stage, _ moment: HandOver.Moment) throws {
        guard stage.mode.trainsIndexer, configuration.indexer != nil else { return }
        let stream = TaskStream(seed: recipe.seed, split: .evaluation)
        let checked = try TrainableModel(configuration, topK: stage.topK, workers: workers).handOver(
            stage,
            moment,
            on: stream.item(.needle, 0, length: stage.length),
            state.parameters
        )
        try files.write(checked)
    }

    private func advance(_ stage: Recipe.Stage, _ step: TrainingStep) throws -> Progress {
        let start = ContinuousClock.now
        let items = items(stage)
        let done: Done
        if let policy = stage.policy {
            done = try optimize(policy, stage, items)
        } else {
            let taught = try distillation?(items, seed: drawSeed)
            guard taught?.isEmpty != true else {
                return try log(Done(norm: 0, tokens: 0, taught: 0), stage, items, start)
            }
            let result = try step(taught ?? items, state.parameters, mode: stage.mode)
            done = Done(
                norm: try update(by: result.gradients, loads: result.loads, stage),
                loss: result.loss,
                answerLoss: result.answerLoss,
                indexerLoss: result.indexerLoss,
                tokens: result.tokens,
                loads: result.loads,
                taught: taught.map { Double($0.count) / Double(items.count) }
            )
        }
        return try log(done, stage, items, start)
    }

    /// The seed of what is drawn in the next step.
    private var drawSeed: UInt64 { recipe.seed &+ UInt64(state.items) &* 0x9E37_79B9_7F4A_7C15 }

    /// Counts a step as done and writes its line.
    private func log(
        _ done: Done,
        _ stage: Recipe.Stage,
        _ items: [TaskItem],
        _ start: ContinuousClock.Instant
    ) throws -> Progress {
        let rate = stage.learningRate.rate(at: state.step, of: stage.steps)
        state.step += 1
        state.items += items.count
        let told = Progress(
            stage: stage.name,
            step: state.step,
            steps: stage.steps,
            loss: done.loss,
            answerLoss: done.answerLoss,
            indexerLoss: done.indexerLoss,
            gradientNorm: done.norm,
            tokens: done.tokens,
            seconds: (ContinuousClock.now - start) / .seconds(1),
            expertViolation: LoadBalancing.violation(of: done.loads),
            taught: done.taught,
            policy: done.policy
        )
        try files.log(told, rate: rate, position: state)
        return told
    }

    /// What a step did.
    private struct Done {
        var norm: Double
        var loss: Double?
        var answerLoss: Double?
        var indexerLoss: Double?
        var tokens: Int
        var loads: [[Int]] = []
        var taught: Double?
        var policy: PolicyMeasures?
    }

    /// Moves the parameters against a gradient.
    ///
    /// - Returns: the norm of the gradient, before it is limited.
    private func update(by gradients: ParameterSet, loads: [[Int]], _ stage: Recipe.Stage) throws -> Double {
        var gradients = gradients
        let norm = stage.clip.map { gradients.clip(toNorm: $0) } ?? gradients.norm
        guard norm.isFinite else {
            throw TrainingFault.diverged(stage: stage.name, step: state.step)
        }
        let rate = stage.learningRate.rate(at: state.step, of: stage.steps)
        let indexerRate = rate * (stage.indexerRate ?? 1)
        state.update(by: gradients, workers: workers) { $0.contains(".indexer.") ? indexerRate : rate }
        if stage.mode.trainsTrunk, let speed = stage.biasSpeed { balance(loads, speed: speed) }
        return norm
    }

    /// Draws answers to the questions of a step, and moves the parameters to the better ones.
    private func optimize(_ policy: PolicySettings, _ stage: Recipe.Stage, _ items: [TaskItem]) throws -> Done
    {
        let step = try PolicyStep(configuration, policy, mode: stage.mode, workers: workers)
        let reference =
            policy.divergenceWeight == 0
            ? ParameterSet()
            : try files.reference(state.parameters, isBeginning: state.step == 0, configuration)
        let answers = try step.answers(
            to: items,
            by: files.model(of: state.parameters, workers: workers),
            reference: reference,
            reward: WeightedReward(weights: policy.rewards ?? .init(), longest: policy.answerTokens),
            seed: drawSeed
        )
        var first: Done?
        for _ in 0..<(policy.updates ?? 1) {
            let result = try step(answers, state.parameters)
            let norm = try update(by: result.gradients, loads: result.loads, stage)
            if var told = first {
                // What the answers are is known from the first; how far the policy moves shows in the last.
                told.policy?.clipped = result.measures.clipped
                told.policy?.masked = result.measures.masked
                told.policy?.divergence = result.measures.divergence
                first = told
            } else {
                first = Done(
                    norm: norm,
                    loss: result.loss,
                    tokens: result.tokens,
                    loads: result.loads,
                    policy: result.measures
                )
            }
        }
        guard let first else { preconditionFailure("a step has at least one update") }
        return first
    }

    /// The sequences of the next step, by the run's seed and their numbers alone.
    private func items(_ stage: Recipe.Stage) -> [TaskItem] {
        let stream = stage.stream(seed: recipe.seed, .training)
        let shares = stage.shares
        let total = shares.reduce(0) { $0 + $1.share }
        return (0..<stage.sequences).map { offset in
            let index = state.items + offset
            var generator = SplitMix64(state: recipe.seed &+ UInt64(index) &* 0xD1B5_4A32_D192_ED03)
            var pick = Double.random(in: 0..<1, using: &generator) * total
            let chosen = shares.first { entry in
                pick -= entry.share
                return pick < 0
            }
            return stream.item((chosen ?? shares[0]).kind, index, length: stage.length)
        }
    }

    /// Moves the correction biases against the experts' load.
    private func balance(_ loads: [[Int]], speed: Float) {
        for (layer, load) in loads.enumerated() where !load.isEmpty {
            state.parameters.mutate("model.layers.\(layer).mlp.gate.e_score_correction_bias") { bias in
                let updated = LoadBalancing.updated(bias.elements, load: load, speed: speed)
                bias = Tensor(trusted: updated.map(Double.init))
            }
        }
    }
}

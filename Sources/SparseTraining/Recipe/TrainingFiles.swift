import Foundation
import SparseAttention
import SparseInference

/// The files of a run.
///
/// A state is one file, written beside the old one, whose place it takes in one step.
struct TrainingFiles {
    let folder: URL

    static let recipeName = "recipe.json"

    /// What lies in the folder beside the models of the stages, which therefore have other names.
    static let names: Set = [
        recipeName, "config.json", "tokenizer.json", "tokenizer_config.json", "start", "log.jsonl",
        "handovers.jsonl", "curves.svg", "state", "current",
    ]

    var log: URL { folder.appendingPathComponent("log.jsonl") }
    private var handOvers: URL { folder.appendingPathComponent("handovers.jsonl") }
    private var states: URL { folder.appendingPathComponent("state") }

    /// What a state says beside its tensors.
    private struct Position: Codable {
        var stage: Int
        var step: Int
        var items: Int
        var optimizerSteps: Int
    }

    /// Makes the folder, or checks that it holds this run.
    func begin(recipe: URL, configuration: URL, vocabulary: TaskVocabulary) throws {
        try keep(Data(contentsOf: recipe), as: Self.recipeName)
        try keep(Data(contentsOf: configuration), as: "config.json")
        try vocabulary.write(to: folder)
        // What a process that was killed had begun to write.
        for name in (try? FileManager.default.contentsOfDirectory(atPath: states.path)) ?? []
        where name.hasPrefix(".state.safetensors.") {
            try? FileManager.default.removeItem(at: states.appendingPathComponent(name))
        }
    }

    /// Writes a file that says what is carried out, or checks that it says the same.
    ///
    /// - Throws: `TrainingFault.anotherRun`, or what the file system refuses.
    func keep(_ data: Data, as name: String) throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        let copy = folder.appendingPathComponent(name)
        if let held = try? Data(contentsOf: copy) {
            guard held == data else { throw TrainingFault.anotherRun(file: name) }
        } else {
            try data.write(to: copy, options: .atomic)
        }
    }

    /// The checkpoint the run begins with: the one given, or the one it was given at first.
    func start(_ given: URL?) throws -> URL? {
        let file = folder.appendingPathComponent("start")
        let held = try? String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .newlines)
        let path = given?.standardizedFileURL.path
        if let held, let path, held != path { throw TrainingFault.anotherRun(file: "start") }
        // A run that began at random cannot have begun elsewhere.
        let hasBegun = FileManager.default.fileExists(atPath: log.path)
        if held == nil, path != nil, hasBegun { throw TrainingFault.anotherRun(file: "start") }
        if held == nil, let path { try Data("\(path)\n".utf8).write(to: file, options: .atomic) }
        return (path ?? held).map { URL(fileURLWithPath: $0, isDirectory: true) }
    }

    // MARK: State

    /// Writes a state: first under a name of its own, then the old one is replaced.
    func write(_ state: TrainingState) throws {
        var tensors: [String: StoredTensor] = [:]
        func add(_ prefix: String, _ name: String, _ tensor: Tensor) {
            tensors[prefix + name] = StoredTensor(tensor.elements, shape: tensor.shape.dimensions)
        }
        for name in state.parameters.names { add("parameter.", name, state.parameters[name]) }
        for (name, tensor) in state.optimizer.firstMoments { add("first.", name, tensor) }
        for (name, tensor) in state.optimizer.secondMoments { add("second.", name, tensor) }
        let position = Position(
            stage: state.stage,
            step: state.step,
            items: state.items,
            optimizerSteps: state.optimizer.step
        )
        // One file: tensors and position cannot part.
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let text = String(decoding: try encoder.encode(position), as: UTF8.self)
        try FileManager.default.createDirectory(at: states, withIntermediateDirectories: true)
        try SafetensorsWriter.write(
            tensors,
            metadata: ["position": text],
            to: states.appendingPathComponent("state.safetensors")
        )
    }

    /// Reads the state of a run; nil when there is none yet.
    func readState(_ configuration: ModelConfiguration, recipe: Recipe) throws -> TrainingState? {
        let url = states.appendingPathComponent("state.safetensors")
        guard FileManager.default.fileExists(atPath: url.path) else { return nil }
        let file = try SafetensorsFile(contentsOf: url)
        guard let text = file.metadata["position"],
            let position = try? JSONDecoder().decode(Position.self, from: Data(text.utf8)),
            (0...recipe.stages.count).contains(position.stage), position.items >= 0,
            position.optimizerSteps >= 0, position.step >= 0,
            position.step <= (position.stage < recipe.stages.count ? recipe.stages[position.stage].steps : 0)
        else { throw TrainingFault.damagedState(reason: "it does not say where it is, within the recipe") }
        let stage = position.stage < recipe.stages.count ? recipe.stages[position.stage] : nil
        var (parameters, moments) = (ParameterSet(), (first: [String: Tensor](), second: [String: Tensor]()))
        for (name, shape) in configuration.weightShapes {
            parameters[name] = try tensor("parameter." + name, shape, file)
            if file.tensors["first." + name] != nil {
                moments.first[name] = try tensor("first." + name, shape, file)
                moments.second[name] = try tensor("second." + name, shape, file)
            }
        }
        var state = TrainingState(parameters: parameters)
        state.optimizer = AdamW(
            stage?.optimizer ?? .init(),
            step: position.optimizerSteps,
            firstMoments: moments.first,
            secondMoments: moments.second
        )
        (state.stage, state.step, state.items) = (position.stage, position.step, position.items)
        return state
    }

    private func tensor(_ name: String, _ shape: [Int], _ file: SafetensorsFile) throws -> Tensor {
        let entry = try file.find(name)
        guard entry.shape == shape else {
            throw TrainingFault.damagedState(reason: "\(name) is \(entry.shape), expected \(shape)")
        }
        return try Tensor(file.floats(of: name), shape: Shape(shape))
    }

    // MARK: Log

    /// Appends a line.
    func log(_ progress: TrainingRun.Progress, rate: Float, position: TrainingState) throws {
        let line = TrainingLog.Line(
            stage: progress.stage,
            step: progress.step,
            loss: progress.loss,
            answerLoss: progress.answerLoss,
            indexerLoss: progress.indexerLoss,
            gradientNorm: progress.gradientNorm,
            learningRate: Double(rate),
            tokens: progress.tokens,
            seconds: progress.seconds,
            expertViolation: progress.expertViolation,
            taught: progress.taught,
            policy: progress.policy
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let data = try encoder.encode(line) + Data("\n".utf8)
        if let handle = try? FileHandle(forWritingTo: log) {
            defer { try? handle.close() }
            try handle.seekToEnd()
            try handle.write(contentsOf: data)
        } else {
            try data.write(to: log)
        }
    }

    /// Drops the lines of steps that will be done again.
    func truncateLog(after state: TrainingState, of recipe: Recipe) throws {
        guard let text = try? String(contentsOf: log, encoding: .utf8) else { return }
        let done = recipe.stages.prefix(state.stage).reduce(state.step) { $0 + $1.steps }
        let lines = text.split(separator: "\n")
        let kept = lines.prefix(done)
        guard kept.count < lines.count else { return }
        try Data((kept.joined(separator: "\n") + (kept.isEmpty ? "" : "\n")).utf8).write(
            to: log,
            options: .atomic
        )
    }

    // MARK: Hand-overs

    /// Adds what was checked, in place of the same check before an interruption.
    func write(_ handOver: HandOver) throws {
        let before = try readHandOvers().filter {
            $0.stage != handOver.stage || $0.moment != handOver.moment
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        let lines = try (before + [handOver]).map { try encoder.encode($0) + Data("\n".utf8) }
        try Data(lines.joined()).write(to: handOvers, options: .atomic)
    }

    /// Everything that was checked.
    func readHandOvers() throws -> [HandOver] {
        guard FileManager.default.fileExists(atPath: handOvers.path) else { return [] }
        return try JSONLines.read(HandOver.self, from: handOvers, what: "hand-over")
    }

    // MARK: Models

    /// What answers are drawn from: the parameters to the last bit.
    private static let policy = ".policy"

    /// Opens the model of some parameters, to the last bit.
    func model(of parameters: ParameterSet, workers: Workers) throws -> LanguageModel {
        try export(parameters, name: Self.policy, dataType: .float32)
        return try LanguageModel(contentsOf: folder.appendingPathComponent(Self.policy), workers: workers)
    }

    /// The policy a stage began with, to the last bit: the given one at its beginning, later the one kept then.
    func reference(_ parameters: ParameterSet, isBeginning: Bool, _ configuration: ModelConfiguration) throws
        -> ParameterSet
    {
        let name = ".reference"
        guard isBeginning else {
            return try ParameterSet(
                contentsOf: folder.appendingPathComponent(name),
                configuration: configuration
            )
        }
        try export(parameters, name: name, dataType: .float32)
        return parameters
    }

    /// Writes a model in Hugging Face form, in bfloat16 unless said otherwise.
    func export(_ parameters: ParameterSet, name: String, dataType: DataType = .bfloat16) throws {
        let target = folder.appendingPathComponent(name)
        try FileManager.default.createDirectory(at: target, withIntermediateDirectories: true)
        for file in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            try Data(contentsOf: folder.appendingPathComponent(file))
                .write(to: target.appendingPathComponent(file), options: .atomic)
        }
        try parameters.write(to: target.appendingPathComponent("model.safetensors"), dataType: dataType)
    }
}

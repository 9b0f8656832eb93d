public import Foundation
import SparseInference

/// A chain of training stages, as a JSON file.
public struct Recipe: Equatable, Sendable, Codable {
    /// What all random numbers come from.
    public var seed: UInt64
    /// The standard deviation of matrices at the start; norms begin at 1, biases at 0.
    public var initialDeviation: Float
    /// The stages, in their order.
    public var stages: [Stage]

    /// One stage.
    public struct Stage: Equatable, Sendable, Codable {
        /// What is trained, on what attention.
        public enum Kind: String, Sendable, Codable, CaseIterable {
            /// The predecessor: dense attention, no indexer.
            case densePretraining
            /// The same on longer texts.
            case contextExtension
            /// Everything frozen but the indexer, which learns to match dense attention.
            case denseWarmUp
            /// Everything trains on the tokens the indexer selects, the indexer by its own loss alone.
            case sparseTraining
            /// The same on right answers that other models write.
            case distillation
            /// The same on answers of the model's own, by their rewards.
            case policyOptimization
        }

        /// A name of its own.
        public var name: String
        /// What is trained.
        public var kind: Kind
        /// Steps of the optimizer.
        public var steps: Int
        /// Sequences of one step.
        public var sequences: Int
        /// The most tokens of a sequence.
        public var length: Int
        /// How often each task comes, in shares of any sum.
        public var mixture: [String: Double]
        /// The most questions of a sequence.
        public var questions: Int
        /// Tokens of text for each fact that can be asked for, about; 40 when nil.
        public var tokensPerFact: Int?
        /// How often each fact is stated again; never when nil.
        public var restatements: Int?
        /// The most facts of a text, phrases among them; as many as fit when nil.
        ///
        /// Every number up to it occurs.
        public var mostFacts: Int?
        /// The languages of tasks that are worded; English alone when nil.
        public var languages: LanguageMix?
        /// The rate of each step.
        public var learningRate: LearningRate
        /// The rate of the indexer's parameters, as a multiple of it.
        public var indexerRate: Float?
        /// The tokens the indexer selects; the model's when nil.
        public var topK: Int?
        /// Whether the indexers begin at the leading directions of the main attention; where they are when nil.
        public var closedFormStart: Bool?
        /// The optimizer's settings; DeepSeek-V3's when nil.
        public var optimizer: AdamW.Settings?
        /// The largest norm of a gradient; not limited when nil.
        public var clip: Double?
        /// The step of the experts' correction bias.
        public var biasSpeed: Float?
        /// What the sequence-wise balance loss counts for.
        public var balanceLoss: Float?
        /// Which tokens the main attention sees; what the kind says when nil.
        ///
        /// With dense attention the indexers are not trained: the control of a sparse stage.
        public var attention: TrainingMode.Attention?
        /// Whose answers to learn from; for `distillation` alone.
        public var distillation: DistillationSettings?
        /// How answers are drawn and what they count for; for `policyOptimization` alone.
        public var policy: PolicySettings?

        /// What a step of this stage does.
        public var mode: TrainingMode {
            var mode: TrainingMode =
                switch kind {
                case .densePretraining, .contextExtension: .densePretraining
                case .denseWarmUp: .denseWarmUp
                case .sparseTraining, .distillation, .policyOptimization: .sparseTraining
                }
            mode.balanceLoss = balanceLoss ?? 0
            if attention == .dense, mode.trainsTrunk {
                mode.attention = .dense
                mode.trainsIndexer = false
            }
            return mode
        }
    }
}

extension Recipe {
    /// The recipe as a file.
    var json: Data { get throws { try JSONEncoder.forRecipes.encode(self) } }
}

extension JSONEncoder {
    /// Writes recipes for people to read, the same ones always the same way.
    static var forRecipes: JSONEncoder {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        return encoder
    }
}

// MARK: - Reading

extension Recipe {
    /// Reads and checks a recipe.
    ///
    /// - Parameter url: the file.
    /// - Throws: `RecipeFault`, or what the file system refuses.
    public init(contentsOf url: URL) throws {
        try self.init(Data(contentsOf: url), file: url.lastPathComponent)
    }

    /// Reads and checks a recipe.
    ///
    /// - Parameters:
    ///   - data: the JSON text.
    ///   - file: what errors call it.
    /// - Throws: `RecipeFault`.
    public init(_ data: Data, file: String) throws {
        do {
            // Strictly first: Foundation's readers forgive different things, such as a key twice.
            _ = try JSONValue(parsing: [UInt8](data))
            self = try JSONDecoder().decode(Recipe.self, from: data)
            var full = self
            full.stages = stages.map(\.withEveryField)
            try Self.refuseUnknownFields(data, of: full, file: file)
        } catch let fault as RecipeFault {
            throw fault
        } catch let error as DecodingError {
            throw RecipeFault(error, file: file)
        } catch {
            throw RecipeFault.malformed(file: file, field: "recipe", reason: "\(error)")
        }
        try validate()
    }

    /// Refuses fields that a recipe does not have: one that is misspelt would be ignored in silence.
    ///
    /// - Parameters:
    ///   - data: what was read.
    ///   - full: what it was read as, with a value in every field that may be left out.
    ///   - file: what errors call it.
    /// - Throws: `RecipeFault.malformed` naming the first such field.
    static func refuseUnknownFields(_ data: Data, of full: some Encodable, file: String) throws {
        let given = try JSONSerialization.jsonObject(with: data)
        let known = try JSONSerialization.jsonObject(with: JSONEncoder().encode(full))
        if let field = unknownField(in: given, known: known, path: "") {
            throw RecipeFault.malformed(file: file, field: field, reason: "is not a field of a recipe")
        }
    }

    private static func unknownField(in given: Any, known: Any, path: String) -> String? {
        if let given = given as? [Any], let known = known as? [Any] {
            for (index, pair) in zip(given, known).enumerated() {
                if let field = unknownField(in: pair.0, known: pair.1, path: "\(path)[\(index)]") {
                    return field
                }
            }
        }
        guard let given = given as? [String: Any], let known = known as? [String: Any] else { return nil }
        for (key, value) in given.sorted(by: { $0.key < $1.key }) {
            let inner = path.isEmpty ? key : "\(path).\(key)"
            guard let counterpart = known[key] else { return inner }
            if let field = unknownField(in: value, known: counterpart, path: inner) { return field }
        }
        return nil
    }

    /// Checks that every value is one it may be.
    ///
    /// - Throws: `RecipeFault.invalid` for the first that is not.
    public func validate() throws(RecipeFault) {
        try require(
            initialDeviation > 0 && initialDeviation.isFinite,
            "initialDeviation",
            initialDeviation,
            "a positive number"
        )
        try require(!stages.isEmpty, "stages", "empty", "at least one")
        let taken = stages.map(\.name).first {
            $0.contains("/") || $0.hasPrefix(".") || TrainingFiles.names.contains($0)
        }
        try require(
            taken == nil,
            "stages",
            taken.map { "\"\($0)\", a name that is a path or taken" } ?? "",
            "plain names other than \(TrainingFiles.names.sorted().joined(separator: ", "))"
        )
        try require(
            Set(stages.map(\.name)).count == stages.count,
            "stages",
            "two of one name",
            "names of their own"
        )
        for stage in stages {
            try stage.validate()
        }
    }
}

extension Recipe {
    /// Checks that a model has tokens for the words of all tasks.
    ///
    /// - Parameter size: of the model's vocabulary.
    /// - Throws: `RecipeFault.invalid` when it has too few.
    func requireVocabulary(_ size: Int) throws(RecipeFault) {
        for (kind, share) in stages.flatMap(\.shares) where share > 0 {
            try kind.requireVocabulary(size)
        }
    }
}

extension Recipe.Stage {
    /// The same with a value in every field that may be left out.
    var withEveryField: Recipe.Stage {
        var full = self
        full.tokensPerFact = tokensPerFact ?? 0
        full.restatements = restatements ?? 0
        full.mostFacts = mostFacts ?? 0
        full.languages = (languages ?? .english).withEveryField
        full.indexerRate = indexerRate ?? 0
        full.topK = topK ?? 0
        full.closedFormStart = closedFormStart ?? false
        full.optimizer = optimizer ?? .init()
        full.clip = clip ?? 0
        full.biasSpeed = biasSpeed ?? 0
        full.balanceLoss = balanceLoss ?? 0
        full.attention = attention ?? .dense
        full.distillation =
            distillation?.withEveryField ?? .init(teachers: [:], answerTokens: 1).withEveryField
        full.policy = policy?.withEveryField ?? PolicySettings(answers: 2, answerTokens: 1).withEveryField
        return full
    }

    /// The tasks with their shares, in a fixed order.
    package var shares: [(kind: TaskKind, share: Double)] {
        TaskKind.allCases.compactMap { kind in mixture[kind.rawValue].map { (kind, $0) } }
    }

    /// Where its texts come from.
    func stream(seed: UInt64, _ split: TaskStream.Split) -> TaskStream {
        TaskStream(
            seed: seed,
            split: split,
            questions: questions,
            tokensPerFact: tokensPerFact ?? TaskStream.tokensPerFact,
            restatements: restatements ?? 0,
            mostFacts: mostFacts,
            languages: languages
        )
    }

    fileprivate func validate() throws(RecipeFault) {
        let limits: [(String, Int, ClosedRange<Int>)] = [
            ("steps", steps, 1...10_000_000), ("sequences", sequences, 1...4096),
            ("length", length, 64...1_048_576), ("questions", questions, 1...1024),
            ("topK", topK ?? 1, 1...1_048_576), ("tokensPerFact", tokensPerFact ?? 40, 1...1_048_576),
            ("restatements", restatements ?? 0, 0...64), ("mostFacts", mostFacts ?? 2, 2...1_048_576),
            ("learningRate.warmUpSteps", learningRate.warmUpSteps, 0...10_000_000),
        ]
        for (field, value, range) in limits {
            try require(
                range.contains(value),
                "\(name).\(field)",
                value,
                "\(range.lowerBound) to \(range.upperBound)"
            )
        }
        let known = Set(TaskKind.allCases.map(\.rawValue))
        for (task, share) in mixture {
            try require(
                known.contains(task),
                "\(name).mixture",
                "\"\(task)\"",
                "one of \(known.sorted().joined(separator: ", "))"
            )
            try require(
                share >= 0 && share.isFinite,
                "\(name).mixture.\(task)",
                share,
                "a share of at least 0"
            )
        }
        try require(mixture.values.reduce(0, +) > 0, "\(name).mixture", "empty", "a task with a share")
        for (field, value) in [
            ("learningRate.peak", learningRate.peak), ("indexerRate", indexerRate ?? 1),
            ("biasSpeed", biasSpeed ?? 0), ("balanceLoss", balanceLoss ?? 0),
            ("learningRate.end", learningRate.end),
        ] {
            try require(value >= 0 && value.isFinite, "\(name).\(field)", value, "a number of at least 0")
        }
        try require(
            (policy != nil) == (kind == .policyOptimization),
            "\(name).policy",
            policy == nil ? "missing" : "given",
            "one for policyOptimization, none elsewhere"
        )
        try languages?.validate("\(name).languages")
        try policy?.validate(stage: name)
        try require(
            (distillation != nil) == (kind == .distillation),
            "\(name).distillation",
            distillation == nil ? "missing" : "given",
            "one for distillation, none elsewhere"
        )
        try distillation?.validate(stage: name, tasks: shares.filter { $0.share > 0 }.map(\.kind.rawValue))
        if kind == .policyOptimization || kind == .distillation {
            let answered = shares.filter { $0.share > 0 }.map(\.kind)
            try require(
                !answered.contains(.prose) && !answered.contains(.phrases),
                "\(name).mixture",
                "prose or phrases",
                "tasks with questions"
            )
        }
        if let clip { try require(clip > 0 && clip.isFinite, "\(name).clip", clip, "a positive number") }
    }
}

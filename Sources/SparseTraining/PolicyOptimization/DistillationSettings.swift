/// Whose answers a stage learns from: those of its teachers that are right, and no others (rejection sampling).
///
/// Source: V3.2 report, "Specialist Distillation".
public struct DistillationSettings: Equatable, Sendable, Codable {
    /// The model that answers the questions of each task, a folder; relative to the run's own unless it begins with a slash.
    public var teachers: [String: String]
    /// The most tokens of an answer.
    public var answerTokens: Int
    /// Answers are drawn until one is right, at most so many; 4 when nil.
    public var draws: Int?
    /// Answers are drawn among the fewest tokens whose probabilities add up to this; all when nil.
    public var topP: Double?
    /// The share of answers with thinking that are learned without it, to a question that asks for none; 0 when nil.
    ///
    /// Source: V3.2 report, "Specialist Distillation": data with and without thinking.
    public var withoutThinking: Double?

    /// Settings.
    public init(
        teachers: [String: String],
        answerTokens: Int,
        draws: Int? = nil,
        topP: Double? = nil,
        withoutThinking: Double? = nil
    ) {
        self.withoutThinking = withoutThinking
        self.teachers = teachers
        self.answerTokens = answerTokens
        self.draws = draws
        self.topP = topP
    }

    static let draws = 4

    /// The same with a value in every field that may be left out; any task may have a teacher.
    var withEveryField: DistillationSettings {
        var full = self
        full.teachers = Dictionary(uniqueKeysWithValues: TaskKind.allCases.map { ($0.rawValue, "") })
        full.draws = draws ?? Self.draws
        full.topP = topP ?? 1
        full.withoutThinking = withoutThinking ?? 0
        return full
    }

    /// - Throws: `RecipeFault.invalid` naming the field that is out of range, or the task without a teacher.
    func validate(stage: String, tasks: [String]) throws(RecipeFault) {
        let field = "\(stage).distillation."
        try require((1...65536).contains(answerTokens), field + "answerTokens", answerTokens, "1 to 65536")
        try require((1...1024).contains(draws ?? 1), field + "draws", draws ?? 1, "1 to 1024")
        try require(isShare(topP), field + "topP", topP ?? 1, "above 0, at most 1")
        let share = withoutThinking ?? 0
        try require((0...1).contains(share), field + "withoutThinking", share, "a share of 0 to 1")
        for task in tasks {
            try require(
                teachers[task] != nil,
                field + "teachers",
                "without \(task)",
                "one for each task of the mixture"
            )
        }
    }
}

import SparseAttention
import SparseInference

/// What answers of a model are like, means over questions that no stage asks.
public struct AnswerMeasures: Equatable, Sendable, Codable {
    /// How right they are, 0 … 1, as the questions' judges say.
    public var outcome: Double
    /// The tokens of an answer.
    public var answerTokens: Double
    /// The questions asked.
    public var questions: Int
}

/// Asks a model questions and judges what it writes.
struct AnswerEvaluation {
    private let kinds: [TaskKind]
    private let stream: TaskStream
    private let length: Int
    private let options: RolloutOptions
    private let seed: UInt64
    private let workers: Workers

    /// Questions as a stage asks them, of texts that it never sees.
    ///
    /// - Parameters:
    ///   - stage: one of policy optimization, or else answers have one token.
    ///   - seed: of questions and draws.
    ///   - workers: the threads to use.
    init(_ stage: Recipe.Stage, seed: UInt64, workers: Workers) {
        kinds = stage.shares.filter { $0.share > 0 }.map(\.kind)
        stream = stage.stream(seed: seed, .evaluation)
        length = stage.length
        options = RolloutOptions(
            maxTokens: stage.policy?.answerTokens ?? 1,
            attention: stage.mode.attention.answering
        )
        self.seed = seed
        self.workers = workers
    }

    /// The answers to questions of all tasks of the stage, by task.
    ///
    /// - Parameters:
    ///   - model: answers.
    ///   - questions: how many of each task.
    /// - Returns: their measures.
    /// - Throws: what drawing throws.
    func callAsFunction(_ model: LanguageModel, questions: Int) throws -> [String: AnswerMeasures] {
        try Dictionary(
            uniqueKeysWithValues: kinds.map {
                ($0.rawValue, try measures(of: model, $0, questions: questions))
            }
        )
    }

    private func measures(of model: LanguageModel, _ kind: TaskKind, questions: Int) throws -> AnswerMeasures
    {
        let answers = try workers.map(count: questions) { index in
            try model.rollout(
                stream.item(kind, index, length: length),
                options: options,
                seed: seed &+ UInt64(index)
            )
        }
        let count = Double(max(questions, 1))
        return AnswerMeasures(
            outcome: answers.reduce(0) { $0 + Double($1.outcome) } / count,
            answerTokens: answers.reduce(0) { $0 + Double($1.rollout.logProbabilities.count) } / count,
            questions: questions
        )
    }
}

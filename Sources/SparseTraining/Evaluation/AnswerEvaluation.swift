import SparseAttention
import SparseInference

/// What answers of a model are like, means over questions that no stage asks.
public struct AnswerMeasures: Equatable, Sendable, Codable {
    /// How right they are, 0 … 1, as the questions' judges say.
    public var outcome: Double
    /// The tokens of an answer.
    public var answerTokens: Double
    /// The share of words in the question's language; nil where no word told one.
    public var languageConsistency: Double?
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

    /// What is measured of one answer.
    private struct Answer {
        let outcome: Double
        let tokens: Double
        let consistency: Double?
    }

    private func measures(of model: LanguageModel, _ kind: TaskKind, questions: Int) throws -> AnswerMeasures
    {
        let answers = try workers.map(count: questions) { index in
            let item = stream.item(kind, index, length: length)
            let (rollout, outcome) = try model.rollout(item, options: options, seed: seed &+ UInt64(index))
            return Answer(
                outcome: Double(outcome),
                tokens: Double(rollout.logProbabilities.count),
                consistency: item.languageConsistency(of: rollout.answer)
            )
        }
        let count = Double(max(questions, 1))
        return AnswerMeasures(
            outcome: answers.reduce(0) { $0 + $1.outcome } / count,
            answerTokens: answers.reduce(0) { $0 + $1.tokens } / count,
            languageConsistency: LanguageConsistency.mean(answers.map(\.consistency)),
            questions: questions
        )
    }
}

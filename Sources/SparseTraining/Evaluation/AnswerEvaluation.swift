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
    /// Where the questions come from.
    let stream: TaskStream
    /// The most tokens of a question with what is before it, at least 64.
    let length: Int
    /// How answers are drawn.
    let options: RolloutOptions
    /// Of the draws.
    let seed: UInt64
    /// The threads to use.
    let workers: Workers

    /// The answers to the first question of each text.
    ///
    /// - Parameters:
    ///   - model: answers.
    ///   - kind: what is asked.
    ///   - questions: how many.
    /// - Returns: their measures.
    /// - Throws: what drawing throws.
    func callAsFunction(_ model: LanguageModel, _ kind: TaskKind, questions: Int) throws -> AnswerMeasures {
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

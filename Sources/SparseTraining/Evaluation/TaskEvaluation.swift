import Foundation
import SparseAttention
public import SparseInference

/// How well a model does the tasks it was trained on, with dense and with sparse attention, on texts it has not seen.
///
/// An answer counts when every one of its tokens, end marker included, is the most likely one after those before it: what
/// greedy generation would have written. Where more than one answer is right, as of programs, the model writes one greedily,
/// to the first question of each text, and the question's judge has to find it right altogether.
public struct TaskEvaluation {
    /// The results of one task at one length.
    public struct Row: Equatable, Sendable, Codable {
        /// The task.
        public var task: String
        /// The most tokens of a text.
        public var length: Int
        /// The tokens the indexer selects.
        public var k: Int
        /// The questions asked; 0 for prose.
        public var questions: Int
        /// The share of right answers with dense attention; nil for prose.
        public var denseAccuracy: Double?
        /// The same with sparse attention.
        public var sparseAccuracy: Double?
        /// `exp` of the mean loss of answers' tokens, or of all tokens of prose, with dense attention.
        public var densePerplexity: Double
        /// The same with sparse attention.
        public var sparsePerplexity: Double
    }

    private let model: LanguageModel
    private let stream: TaskStream

    /// An evaluation of a model.
    ///
    /// - Parameters:
    ///   - model: with the tasks' vocabulary.
    ///   - seed: of the texts; they are those of no training run.
    ///   - questions: asked of each text, at most.
    ///   - languages: of tasks that are worded.
    /// - Throws: `RecipeFault.invalid` for a model whose vocabulary is smaller than the tasks', or shares that are none.
    public init(
        _ model: LanguageModel,
        seed: UInt64 = 1,
        questions: Int = 8,
        languages: LanguageMix = LanguageMix(german: 0)
    ) throws(RecipeFault) {
        try Self.requireVocabulary(of: model)
        try languages.validate("languages")
        self.model = model
        stream = TaskStream(seed: seed, split: .evaluation, questions: questions, languages: languages)
    }

    /// Checks that a model has tokens for the tasks' words.
    ///
    /// - Parameter model: the model.
    /// - Throws: `RecipeFault.invalid` when it has too few.
    package static func requireVocabulary(of model: LanguageModel) throws(RecipeFault) {
        let found = model.configuration.vocabularySize
        let needed = TaskVocabulary(limit: found).count
        guard found >= needed else {
            throw .invalid(
                field: "vocab_size",
                found: "\(found)",
                expected: "at least \(needed), the tokens of the tasks"
            )
        }
    }

    /// The names of the tasks.
    public static let tasks = TaskKind.allCases.map(\.rawValue)

    /// The names of the tasks whose words the model has.
    public var tasks: [String] {
        let size = model.configuration.vocabularySize
        return TaskKind.allCases.filter { (try? $0.requireVocabulary(size)) != nil }.map(\.rawValue)
    }

    /// Measures one task.
    ///
    /// - Parameters:
    ///   - task: one of `tasks`.
    ///   - length: the most tokens of a text, at least 64.
    ///   - texts: how many.
    /// - Returns: accuracy and perplexity.
    /// - Throws: `RecipeFault.invalid` for an unknown task, or what `Session` throws.
    public func run(_ task: String, length: Int, texts: Int) throws -> Row {
        guard let kind = TaskKind(rawValue: task) else {
            let expected = "one of " + Self.tasks.joined(separator: ", ")
            throw RecipeFault.invalid(field: "task", found: task, expected: expected)
        }
        try kind.requireVocabulary(model.configuration.vocabularySize)
        guard length >= 64, texts >= 1 else {
            throw RecipeFault.invalid(
                field: "length, texts",
                found: "\(length), \(texts)",
                expected: "at least 64 tokens, 1 text"
            )
        }
        var (dense, sparse) = (Score(), Score())
        for index in 0..<texts {
            let item = stream.item(kind, index, length: length)
            dense.add(try score(item, .dense))
            sparse.add(try score(item, .sparse))
        }
        return Row(
            task: task,
            length: length,
            k: model.configuration.indexer?.topK ?? 0,
            questions: dense.questions,
            denseAccuracy: dense.accuracy,
            sparseAccuracy: sparse.accuracy,
            densePerplexity: dense.perplexity,
            sparsePerplexity: sparse.perplexity
        )
    }

    /// What one text, or several, gave.
    private struct Score {
        var right = 0
        var questions = 0
        var loss = 0.0
        var tokens = 0

        var accuracy: Double? { questions > 0 ? Double(right) / Double(questions) : nil }
        var perplexity: Double { exp(loss / Double(max(tokens, 1))) }

        mutating func add(_ other: Score) {
            right += other.right
            questions += other.questions
            loss += other.loss
            tokens += other.tokens
        }
    }

    private func score(_ item: TaskItem, _ attention: AttentionMode) throws -> Score {
        let session = try Session(model, capacity: item.tokens.count)
        let logits = try session.extendWithAllLogits(
            by: item.tokens,
            options: ForwardOptions(attention: attention)
        )
        var score = Score()
        let isWritten = !item.kind.hasOneAnswer
        if isWritten { score.add(try written(item, attention)) }
        logits.withMatrix { logits in
            func judge(_ token: Int) -> Bool {
                let row = logits[token - 1]
                let largest = Kernels.maximum(row, count: logits.columns)
                let sum = (0..<logits.columns).reduce(0.0) { $0 + exp(Double(row[$1] - largest)) }
                score.loss += log(sum) + Double(largest - row[item.tokens[token]])
                score.tokens += 1
                return row[item.tokens[token]] == largest
            }
            for question in item.questions {
                // Every token is judged, for the loss.
                let right = question.turns.joined().map(judge).allSatisfy { $0 }
                if !isWritten {
                    score.right += right ? 1 : 0
                    score.questions += 1
                }
            }
            if item.questions.isEmpty {
                for token in item.tokens.indices where token > 0 && item.weights[token] > 0 {
                    _ = judge(token)
                }
            }
        }
        return score
    }

    /// The answer that the model writes to the first question.
    private func written(_ item: TaskItem, _ attention: AttentionMode) throws -> Score {
        var score = Score()
        guard let question = item.questions.first else { return score }
        let expected = question.turns.reduce(0) { $0 + $1.count }
        let options = RolloutOptions(
            maxTokens: Self.longest * expected,
            topP: RolloutOptions.greedy,
            attention: attention
        )
        score.right = try model.rollout(item, options: options, seed: 0).outcome == 1 ? 1 : 0
        score.questions = 1
        return score
    }

    /// The most tokens a written answer has, as a multiple of the expected one's.
    private static let longest = 2
}

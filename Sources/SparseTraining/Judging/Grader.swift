import Foundation
import SparseAttention
import SparseInference

/// Grades an answer by one criterion: a rule, or a model that judges.
protocol Grader: Sendable {
    /// - Parameters:
    ///   - answer: its tokens, an end token included if it came to one; anything at all can be among them.
    ///   - criterion: what to look at.
    /// - Returns: 0 … 1.
    /// - Throws: what a model throws.
    func grade(_ answer: [Int], _ criterion: Criterion) throws -> Float
}

/// Grades by counting: 1 or 0.
struct RuleGrader: Grader {
    func grade(_ answer: [Int], _ criterion: Criterion) -> Float {
        isFulfilled(criterion, by: answer) ? 1 : 0
    }

    private func isFulfilled(_ criterion: Criterion, by answer: [Int]) -> Bool {
        switch criterion {
        case .names(_, let words): return answer.contains(where: words.contains)
        case .avoids(_, let words): return !answer.contains(where: words.contains)
        case .hasSentences(let count, let stop): return answer.count { $0 == stop } == count
        case .repeatsNone(let stop):
            let sentences = answer.split(separator: stop)
            return Set(sentences.map(Array.init)).count == sentences.count
        case .ends(let stop, let end): return answer.suffix(2) == [stop, end]
        }
    }
}

/// Asks a model whether the answer does it, and takes the probability of *yes* against that of *no*.
///
/// Source: the generative reward model of the V3.2 report, "Mixed RL Training".
struct ModelGrader: Grader {
    private let model: LanguageModel
    private let vocabulary = TaskVocabulary()

    /// - Parameter model: with the tasks' whole vocabulary.
    /// - Throws: `RecipeFault.invalid` for a smaller one.
    init(_ model: LanguageModel) throws(RecipeFault) {
        let found = model.configuration.vocabularySize
        try require(found >= vocabulary.count, "vocab_size", found, "at least \(vocabulary.count)")
        self.model = model
    }

    func grade(_ answer: [Int], _ criterion: Criterion) throws -> Float {
        let prompt =
            [TaskVocabulary.begin, TaskVocabulary.user] + answer.filter { $0 != TaskVocabulary.end }
            + vocabulary.encode(" " + criterion.question) + [
                TaskVocabulary.assistant, TaskVocabulary.endOfThinking,
            ]
        let logits = try Session(model, capacity: prompt.count).extend(by: prompt)
        let (yes, no) = (logits[vocabulary.id("yes")], logits[vocabulary.id("no")])
        return 1 / (1 + exp(no - yes))
    }
}

import Foundation
import SparseAttention
import SparseInference

/// Turns questions into conversations to learn from: with a right answer of the teacher of each.
struct Distillation {
    private let settings: DistillationSettings
    private let teachers: [String: LanguageModel]
    private let attention: AttentionMode
    private let workers: Workers

    /// Opens the teachers.
    ///
    /// - Parameters:
    ///   - settings: who they are, and how they answer.
    ///   - folder: what their folders are relative to.
    ///   - attention: which tokens their attention sees.
    ///   - workers: the threads to use.
    /// - Throws: `SparseInferenceError` for a teacher that cannot be opened.
    init(
        _ settings: DistillationSettings,
        folder: URL,
        attention: TrainingMode.Attention,
        workers: Workers
    ) throws {
        self.settings = settings
        self.attention = attention.answering
        self.workers = workers
        var opened: [String: LanguageModel] = [:]
        for path in Set(settings.teachers.values) {
            let url = path.hasPrefix("/") ? URL(fileURLWithPath: path) : folder.appendingPathComponent(path)
            opened[path] = try LanguageModel(contentsOf: url.standardizedFileURL, workers: workers)
        }
        teachers = settings.teachers.compactMapValues { opened[$0] }
    }

    /// The conversations whose questions a teacher answered right.
    ///
    /// - Parameters:
    ///   - items: each with a question, the first of which is asked.
    ///   - seed: of the draws.
    /// - Returns: at most one for each item, in their order.
    /// - Throws: what drawing throws.
    func callAsFunction(_ items: [TaskItem], seed: UInt64) throws -> [TaskItem] {
        try workers.map(count: items.count) { index in
            let item = items[index]
            guard let teacher = teachers[item.kind.rawValue] else { return nil }
            let options = RolloutOptions(
                maxTokens: settings.answerTokens,
                topP: settings.topP ?? 1,
                attention: attention
            )
            for draw in 0..<(settings.draws ?? DistillationSettings.draws) {
                let number = UInt64(index) << 16 | UInt64(draw)
                let (rollout, outcome) = try teacher.rollout(
                    item,
                    options: options,
                    seed: seed &+ number &* 0xD1B5_4A32_D192_ED03
                )
                guard outcome == 1 else { continue }
                let answered = item.answered(by: rollout)
                var generator = SplitMix64(state: seed &+ UInt64(index))
                let share = settings.withoutThinking ?? 0
                return Double.random(in: 0..<1, using: &generator) < share
                    ? answered.withoutThinking : answered
            }
            return nil
        }.compactMap { $0 }
    }
}

extension TaskItem {
    /// The same question asked for an answer without thinking, and answered so; itself where nothing was thought.
    var withoutThinking: TaskItem {
        guard let turns = questions.first?.turns, turns.count == 1, let turn = turns.first,
            turn.lowerBound > 0,
            tokens[turn.lowerBound - 1] == TaskVocabulary.beginOfThinking,
            let end = tokens[turn].firstIndex(of: TaskVocabulary.endOfThinking)
        else { return self }
        var item = self
        item.tokens.removeSubrange(turn.lowerBound - 1..<end)
        item.weights.removeSubrange(turn.lowerBound - 1..<end)
        // The end of thinking opens the answer now, and is given.
        item.weights[turn.lowerBound - 1] = 0
        item.questions = [Question(turns: [turn.lowerBound..<item.tokens.count])]
        return item
    }

    /// The conversation up to its first question, with an answer that counts.
    fileprivate func answered(by rollout: Rollout) -> TaskItem {
        var item = self
        item.tokens = rollout.tokens
        item.weights = [Float](repeating: 0, count: rollout.tokens.count)
        for token in rollout.turns.joined() { item.weights[token] = 1 }
        item.questions = [Question(turns: rollout.turns)]
        return item
    }
}

import SparseAttention
import SparseInference

/// Answers of one policy to some questions, and the gradients they lead to.
///
/// Answers are drawn and differentiated each on one thread; gradients are added in the answers' order. So with any number of
/// threads every bit is the same.
struct PolicyStep: Sendable {
    private let model: TrainableModel  // on one thread
    private let settings: PolicySettings
    private let mode: TrainingMode
    private let workers: Workers

    /// An answer, and how good it is.
    struct Answer: Sendable {
        let rollout: Rollout
        let isRight: Bool
        let languageConsistency: Double?
        let reward: Float
        var advantage: Float = 0
        /// The log-probabilities of its tokens under the reference policy.
        var reference: [Float] = []
    }

    init(
        _ configuration: ModelConfiguration,
        _ settings: PolicySettings,
        mode: TrainingMode,
        workers: Workers
    ) throws {
        model = try TrainableModel(configuration, workers: .one)
        self.settings = settings
        self.mode = mode
        self.workers = workers
    }

    // MARK: Answers

    /// Draws answers to questions and judges them.
    ///
    /// - Parameters:
    ///   - items: each with a question, the first of which is asked.
    ///   - policy: the model that is trained.
    ///   - reference: the parameters its divergence is measured from.
    ///   - reward: tells what an answer is worth, beyond how right its question's judge finds it.
    ///   - seed: of the draws.
    /// - Returns: the answers, those to one question side by side.
    /// - Throws: what drawing throws.
    func answers(
        to items: [TaskItem],
        by policy: LanguageModel,
        reference: ParameterSet,
        reward: any Reward,
        seed: UInt64
    ) throws -> [Answer] {
        let options = RolloutOptions(
            maxTokens: settings.answerTokens,
            topP: settings.topP ?? 1,
            attention: mode.attention.answering
        )
        let group = settings.answers
        var answers = try workers.map(count: items.count * group) { index in
            let (rollout, outcome) = try policy.rollout(
                items[index / group],
                options: options,
                seed: seed &+ UInt64(index) &* 0xD1B5_4A32_D192_ED03
            )
            return Answer(
                rollout: rollout,
                isRight: outcome == 1,
                languageConsistency: items[index / group].languageConsistency(of: rollout.answer),
                reward: reward(rollout.answer, to: items[index / group], outcome: outcome),
                reference: settings.divergenceWeight == 0
                    ? [] : try logProbabilities(of: rollout, under: reference)
            )
        }
        for start in stride(from: 0, to: answers.count, by: group) {
            let rewards = answers[start..<start + group].map(\.reward)
            let advantages = GroupRelativePolicy.advantages(rewards, settings.advantage)
            for (offset, advantage) in advantages.enumerated() {
                answers[start + offset].advantage = advantage
            }
        }
        return answers
    }

    private func logProbabilities(of rollout: Rollout, under parameters: ParameterSet) throws -> [Float] {
        let all = try model.logProbabilities(
            rollout.tokens,
            candidates: rollout.allCandidates,
            replay: replay(of: rollout),
            parameters,
            attention: mode.attention
        )
        return rollout.drawn.map { all[$0 - 1] }
    }

    private func replay(of rollout: Rollout) -> Replay? {
        settings.replays == false ? nil : rollout.replay
    }

    // MARK: Gradients

    /// What answers lead to.
    struct Result {
        var gradients = ParameterSet()
        var measures: PolicyMeasures
        /// The mean loss.
        var loss = 0.0
        var loads: [[Int]] = []
        var tokens = 0
        fileprivate var agreement = SelectionAgreement()
    }

    /// What one answer led to.
    private struct Part: Sendable {
        var gradients = ParameterSet()
        var loads: [[Int]] = []
        var agreement = SelectionAgreement()
        var loss: Float = 0
        var divergence = 0.0
        var gap = 0.0
        var clipped = 0
        var isMasked = false
    }

    /// The gradients of the loss over all answers.
    ///
    /// - Parameters:
    ///   - answers: as `answers` gave them.
    ///   - parameters: those of the model.
    /// - Returns: gradients, and what the answers showed.
    /// - Throws: what `TrainableModel` throws.
    func callAsFunction(_ answers: [Answer], _ parameters: ParameterSet) throws -> Result {
        let tokens = answers.reduce(0) { $0 + $1.rollout.tokens.count }
        var result = Result(measures: measures(answers))
        // Gradients of all answers at once would take memory in proportion.
        for start in stride(from: 0, to: answers.count, by: Self.group) {
            let group = start..<min(start + Self.group, answers.count)
            let parts = try workers.map(count: group.count) { index in
                try part(answers[group.lowerBound + index], of: answers.count, tokens: tokens, parameters)
            }
            for part in parts { add(part, to: &result, of: answers) }
        }
        result.tokens = tokens
        result.measures.selectionOverlap = result.agreement.share
        return result
    }

    private static let group = 8

    private func measures(_ answers: [Answer]) -> PolicyMeasures {
        let count = Double(max(answers.count, 1))
        let tokens = answers.reduce(0) { $0 + $1.rollout.logProbabilities.count }
        let entropy = answers.reduce(0.0) { $0 + $1.rollout.entropies.reduce(0) { $0 + Double($1) } }
        return PolicyMeasures(
            reward: answers.reduce(0) { $0 + Double($1.reward) } / count,
            accuracy: Double(answers.filter(\.isRight).count) / count,
            answerTokens: Double(tokens) / count,
            languageConsistency: LanguageConsistency.mean(answers.map(\.languageConsistency)),
            entropy: entropy / Double(max(tokens, 1)),
            divergence: settings.divergenceWeight == 0 ? nil : 0,
            gap: 0,
            selectionOverlap: nil,
            clipped: 0,
            masked: 0
        )
    }

    private func part(_ answer: Answer, of count: Int, tokens: Int, _ parameters: ParameterSet) throws -> Part
    {
        let rollout = answer.rollout
        let policy = GroupRelativePolicy(
            clip: settings.clip,
            divergenceWeight: settings.divergenceWeight,
            divergence: settings.divergence
        )
        var (part, gradients) = (Part(), ParameterSet())
        let targets = zip(rollout.tokens.dropFirst(), rollout.allCandidates).map {
            Operators.CrossEntropy.Target(token: $0, weight: 0, candidates: $1)
        }
        let outcome = try model.accumulate(
            rollout.tokens,
            targets: targets,
            replay: replay(of: rollout),
            parameters,
            mode: mode,
            indexerWeight: 1 / Float(tokens),
            weigh: { losses in
                let drawn = rollout.drawn
                let current = drawn.map { -losses[$0 - 1] }
                let old = rollout.logProbabilities
                let gaps = zip(current, old).map { abs(Double($0) - Double($1)) }
                part.gap = gaps.max() ?? 0
                part.isMasked =
                    settings.offPolicyLimit.map {
                        GroupRelativePolicy.isMasked(
                            advantage: answer.advantage,
                            current: current,
                            old: old,
                            limit: $0
                        )
                    } ?? false
                let lines = GroupRelativePolicy.Tokens(
                    current: [current],
                    old: [old],
                    reference: [answer.reference.isEmpty ? current : answer.reference],
                    counts: [current.map { _ in true }]
                )
                let result = policy.loss(lines, advantages: [part.isMasked ? 0 : answer.advantage])
                part.loss = result.loss
                part.divergence = Double(policy.divergence(lines).loss)
                part.clipped = result.clipped[0].count { $0 }
                // The loss falls where log-probabilities rise: a target weighs minus their gradient.
                var weights = [Float](repeating: 0, count: losses.count)
                for (place, gradient) in zip(drawn, result.gradient[0]) {
                    weights[place - 1] = -gradient / Float(count)
                }
                return weights
            },
            into: &gradients
        )
        (part.gradients, part.loads, part.agreement) = (gradients, outcome.loads, outcome.agreement)
        return part
    }

    private func add(_ part: Part, to result: inout Result, of answers: [Answer]) {
        for name in part.gradients.names { result.gradients.accumulate(name, part.gradients[name]) }
        let count = Double(answers.count)
        let tokens = Double(max(answers.reduce(0) { $0 + $1.rollout.logProbabilities.count }, 1))
        result.loss += Double(part.loss) / count
        result.measures.divergence = result.measures.divergence.map { $0 + part.divergence / count }
        result.measures.gap = max(result.measures.gap, part.gap)
        result.agreement += part.agreement
        result.measures.clipped += Double(part.clipped) / tokens
        result.measures.masked += part.isMasked ? 1 / count : 0
        result.loads =
            result.loads.isEmpty
            ? part.loads : zip(result.loads, part.loads).map { zip($0, $1).map(+) }
    }
}

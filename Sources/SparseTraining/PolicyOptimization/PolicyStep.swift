import SparseAttention
import SparseInference

/// Answers of one policy to some questions, and the gradients they lead to.
///
/// Each answer is drawn on one thread from a seed of its own, so with any number of threads every bit is the same.
struct PolicyStep: Sendable {
    private let packed: PackedGradients
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
        packed = try PackedGradients(configuration, topK: nil, workers: workers)
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
                reward: reward(rollout.answer, to: items[index / group], outcome: outcome)
            )
        }
        if settings.divergenceWeight != 0 {
            let references = try logProbabilities(of: answers.map(\.rollout), under: reference)
            for (index, reference) in references.enumerated() { answers[index].reference = reference }
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

    private func logProbabilities(of rollouts: [Rollout], under parameters: ParameterSet) throws -> [[Float]]
    {
        let samples = samples(rollouts)
        let all = try packed.map(samples.map(\.tokens.count)) { model, pack in
            try model.logProbabilities(Array(samples[pack]), parameters, attention: mode.attention)
        }
        return zip(all.joined(), rollouts).map { all, rollout in rollout.drawn.map { all[$0 - 1] } }
    }

    private func samples(_ rollouts: [Rollout]) -> [TrainableModel.Sample] {
        rollouts.map { rollout in
            TrainableModel.Sample(
                tokens: rollout.tokens,
                targets: zip(rollout.tokens.dropFirst(), rollout.allCandidates).map {
                    Operators.CrossEntropy.Target(token: $0, weight: 0, candidates: $1)
                },
                replay: settings.replays == false ? nil : rollout.replay
            )
        }
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
    }

    /// What one answer says about the policy that is trained.
    private struct Standing: Sendable {
        var loss: Float
        var divergence: Float
        /// The largest distance of a log-probability from that of the rollout.
        var gap: Double
        var clipped: Int
        var isMasked: Bool
        /// The gradients of the log-probabilities of its tokens.
        var gradients: [Float]
    }

    /// The gradients of the loss over all answers.
    ///
    /// - Parameters:
    ///   - answers: as `answers` gave them.
    ///   - parameters: those of the model.
    /// - Returns: gradients, and what the answers showed.
    /// - Throws: what `TrainableModel` throws.
    func callAsFunction(_ answers: [Answer], _ parameters: ParameterSet) throws -> Result {
        let samples = samples(answers.map(\.rollout))
        let tokens = samples.reduce(0) { $0 + $1.tokens.count }
        let (gradients, parts) = try packed.run(samples.map(\.tokens.count)) { model, pack, gradients in
            var standings: [Standing] = []
            let outcome = try model.accumulate(
                Array(samples[pack]),
                parameters,
                mode: mode,
                indexerWeight: 1 / Float(tokens),
                weigh: { index, losses in
                    let answer = answers[pack.lowerBound + index]
                    let drawn = answer.rollout.drawn
                    let standing = standing(of: answer, current: drawn.map { -losses[$0 - 1] })
                    standings.append(standing)
                    // The loss falls where log-probabilities rise: a target weighs minus their gradient.
                    var weights = [Float](repeating: 0, count: losses.count)
                    for (place, gradient) in zip(drawn, standing.gradients) {
                        weights[place - 1] = -gradient / Float(answers.count)
                    }
                    return weights
                },
                into: &gradients
            )
            return (standings, outcome)
        }
        let standings = parts.flatMap(\.0)
        let agreement = parts.map(\.1.agreement).reduce(into: SelectionAgreement()) { $0 += $1 }
        return Result(
            gradients: gradients,
            measures: measures(answers, standings, agreement),
            loss: standings.reduce(0) { $0 + Double($1.loss) / Double(answers.count) },
            loads: parts.map(\.1.loads).summed,
            tokens: tokens
        )
    }

    private func standing(of answer: Answer, current: [Float]) -> Standing {
        let old = answer.rollout.logProbabilities
        let isMasked =
            settings.offPolicyLimit.map {
                GroupRelativePolicy.isMasked(
                    advantage: answer.advantage,
                    current: current,
                    old: old,
                    limit: $0
                )
            } ?? false
        let policy = GroupRelativePolicy(
            clip: settings.clip,
            divergenceWeight: settings.divergenceWeight,
            divergence: settings.divergence
        )
        let lines = GroupRelativePolicy.Tokens(
            current: [current],
            old: [old],
            reference: [answer.reference.isEmpty ? current : answer.reference],
            counts: [current.map { _ in true }]
        )
        let result = policy.loss(lines, advantages: [isMasked ? 0 : answer.advantage])
        return Standing(
            loss: result.loss,
            divergence: policy.divergence(lines).loss,
            gap: zip(current, old).map { abs(Double($0) - Double($1)) }.max() ?? 0,
            clipped: result.clipped[0].count { $0 },
            isMasked: isMasked,
            gradients: result.gradient[0]
        )
    }

    private func measures(
        _ answers: [Answer],
        _ standings: [Standing],
        _ agreement: SelectionAgreement
    ) -> PolicyMeasures {
        let count = Double(max(answers.count, 1))
        let tokens = Double(answers.reduce(0) { $0 + $1.rollout.logProbabilities.count })
        let entropy = answers.reduce(0.0) { $0 + $1.rollout.entropies.reduce(0) { $0 + Double($1) } }
        return PolicyMeasures(
            reward: answers.reduce(0) { $0 + Double($1.reward) } / count,
            accuracy: Double(answers.count(where: \.isRight)) / count,
            answerTokens: tokens / count,
            languageConsistency: LanguageConsistency.mean(answers.map(\.languageConsistency)),
            entropy: entropy / max(tokens, 1),
            divergence: settings.divergenceWeight == 0
                ? nil : standings.reduce(0) { $0 + Double($1.divergence) } / count,
            gap: standings.map(\.gap).max() ?? 0,
            selectionOverlap: agreement.share,
            clipped: Double(standings.reduce(0) { $0 + $1.clipped }) / max(tokens, 1),
            masked: Double(standings.count(where: \.isMasked)) / count
        )
    }
}

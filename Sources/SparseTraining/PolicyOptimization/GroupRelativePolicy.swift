import Foundation

/// Group relative policy optimization (GRPO): the loss of several answers to one question, each better or worse than the
/// group's mean, and its gradient with respect to the tokens' log-probabilities.
///
/// Source: Shao et al. 2024 (DeepSeekMath), §4.1; V3.2 report, "Scaling GRPO", for the unbiased divergence.
public struct GroupRelativePolicy: Equatable, Sendable {
    /// What a reward is divided by after the group's mean has been subtracted.
    public enum Advantage: String, Sendable, Codable, CaseIterable {
        /// Nothing.
        case meanOnly
        /// The deviation of a sample, with `n − 1`.
        case sampleDeviation
        /// The deviation of the whole, with `n`.
        case populationDeviation
    }

    /// How the divergence from the reference policy is estimated for each token.
    public enum Divergence: String, Sendable, Codable, CaseIterable {
        /// `exp(d) − d − 1` with `d = logp_ref − logp`, unbiased while the policy has not moved.
        case plain
        /// The same times `exp(logp − logp_old)`, unbiased however far it has moved; the ratio is differentiated too.
        case ratioWeighted
    }

    /// How far a ratio may leave 1 before its gradient is cut off.
    public var clip: Float
    /// What the divergence counts for; 0 for none.
    public var divergenceWeight: Float
    /// How the divergence is estimated.
    public var divergence: Divergence

    /// Added to a deviation that rewards are divided by.
    static let deviationEpsilon = 1e-4

    /// A loss.
    public init(clip: Float, divergenceWeight: Float, divergence: Divergence) {
        self.clip = clip
        self.divergenceWeight = divergenceWeight
        self.divergence = divergence
    }

    /// The advantage of each answer over the group.
    ///
    /// - Parameters:
    ///   - rewards: of the answers to one question.
    ///   - kind: what they are divided by.
    /// - Returns: one an answer; all 0 when the rewards are equal.
    public static func advantages(_ rewards: [Float], _ kind: Advantage) -> [Float] {
        let values = rewards.map { Double($0) }
        let mean = values.reduce(0, +) / Double(max(values.count, 1))
        let squares = values.reduce(0) { $0 + ($1 - mean) * ($1 - mean) }
        let divisor =
            switch kind {
            case .meanOnly: 1.0
            case .sampleDeviation:
                (squares / Double(max(values.count - 1, 1))).squareRoot() + deviationEpsilon
            case .populationDeviation:
                (squares / Double(max(values.count, 1))).squareRoot() + deviationEpsilon
            }
        return values.map { Float(($0 - mean) / divisor) }
    }

    /// Whether an answer no longer counts: it is worse than the others, and the policy has moved too far from the one that
    /// wrote it for its tokens to be worth unlearning.
    ///
    /// `A < 0` and `Σ (logp_old − logp) / tokens > limit`. The divergence from the reference still counts.
    ///
    /// Source: V3.2 report, "Off-Policy Sequence Masking".
    ///
    /// - Parameters:
    ///   - advantage: of the answer.
    ///   - current: the log-probabilities of its tokens under the policy that is trained.
    ///   - old: those under the policy that wrote it.
    ///   - limit: in nats a token.
    /// - Returns: whether the surrogate of all its tokens is left out.
    public static func isMasked(
        advantage: Float,
        current: some Collection<Float>,
        old: some Collection<Float>,
        limit: Float
    ) -> Bool {
        let moved = zip(old, current).reduce(0.0) { $0 + Double($1.0) - Double($1.1) }
        return advantage < 0 && moved / Double(max(old.count, 1)) > Double(limit)
    }

    /// What the loss is made of for each token of each answer, all `[answers, tokens]`.
    public struct Tokens: Sendable {
        /// The log-probabilities under the policy that is trained.
        public var current: [[Float]]
        /// Those under the policy that gave the answers.
        public var old: [[Float]]
        /// Those under the reference policy.
        public var reference: [[Float]]
        /// Whether a token counts.
        public var counts: [[Bool]]

        /// Log-probabilities and which of them count.
        public init(current: [[Float]], old: [[Float]], reference: [[Float]], counts: [[Bool]]) {
            self.current = current
            self.old = old
            self.reference = reference
            self.counts = counts
        }
    }

    /// A loss and its parts.
    public struct Result: Sendable {
        /// The loss of each token, counted or not, `[answers, tokens]`.
        public var perToken: [[Float]]
        /// The mean over answers of the mean over an answer's counted tokens.
        public var loss: Float
        /// The gradient with respect to `current`, `[answers, tokens]`.
        public var gradient: [[Float]]
        /// The counted tokens whose ratio is cut off.
        public var clipped: [[Bool]]
    }

    /// The loss of a group: `−min(r A, clip(r) A)`, plus the divergence times its weight.
    ///
    /// - Parameters:
    ///   - tokens: log-probabilities and which count.
    ///   - advantages: one an answer.
    /// - Returns: loss and gradient. An answer without a counted token adds 0 and still counts in the mean.
    public func loss(_ tokens: Tokens, advantages: [Float]) -> Result {
        sum(tokens) { answer, current, old, reference in
            let surrogate = surrogate(current - old, advantage: Double(advantages[answer]))
            let divergence = divergence(current: current, old: old, reference: reference)
            let weight = Double(divergenceWeight)
            return Term(
                value: surrogate.value + weight * divergence.value,
                slope: surrogate.slope + weight * divergence.slope,
                isClipped: surrogate.isClipped
            )
        }
    }

    /// The divergence by itself, not weighted.
    ///
    /// - Parameter tokens: log-probabilities and which count.
    /// - Returns: as `loss`.
    public func divergence(_ tokens: Tokens) -> Result {
        sum(tokens) { _, current, old, reference in
            divergence(current: current, old: old, reference: reference)
        }
    }
}

// MARK: - Terms

extension GroupRelativePolicy {
    /// One token's loss and its derivative with respect to the log-probability.
    private struct Term {
        var value: Double
        var slope: Double
        var isClipped = false
    }

    private func surrogate(_ logRatio: Double, advantage: Double) -> Term {
        let ratio = exp(logRatio)
        let bounded = min(max(ratio, 1 - Double(clip)), 1 + Double(clip))
        let isClipped = advantage > 0 ? ratio > 1 + Double(clip) : advantage < 0 && ratio < 1 - Double(clip)
        return Term(
            value: -min(ratio * advantage, bounded * advantage),
            slope: isClipped ? 0 : -ratio * advantage,
            isClipped: isClipped
        )
    }

    private func divergence(current: Double, old: Double, reference: Double) -> Term {
        let difference = reference - current
        let plain = Term(value: exp(difference) - difference - 1, slope: 1 - exp(difference))
        guard divergence == .ratioWeighted else { return plain }
        let ratio = exp(current - old)
        return Term(value: ratio * plain.value, slope: ratio * (plain.value + plain.slope))
    }

    private func sum(
        _ tokens: Tokens,
        _ term: (_ answer: Int, _ current: Double, _ old: Double, _ reference: Double) -> Term
    ) -> Result {
        let answers = tokens.current.count
        var result = Result(perToken: [], loss: 0, gradient: [], clipped: [])
        var total = 0.0
        for answer in 0..<answers {
            let counts = tokens.counts[answer]
            let share = 1 / Double(max(counts.filter { $0 }.count, 1) * answers)
            let terms = tokens.current[answer].indices.map { index in
                term(
                    answer,
                    Double(tokens.current[answer][index]),
                    Double(tokens.old[answer][index]),
                    Double(tokens.reference[answer][index])
                )
            }
            total += zip(terms, counts).reduce(0) { $0 + ($1.1 ? $1.0.value * share : 0) }
            result.perToken.append(terms.map { Float($0.value) })
            result.gradient.append(zip(terms, counts).map { $1 ? Float($0.slope * share) : 0 })
            result.clipped.append(zip(terms, counts).map { $0.isClipped && $1 })
        }
        result.loss = Float(total)
        return result
    }
}

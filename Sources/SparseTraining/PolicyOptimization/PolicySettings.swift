import SparseAttention
import SparseInference

/// How a stage optimizes a policy by the rewards of its own answers.
///
/// Source: V3.2 report, "Scaling GRPO".
public struct PolicySettings: Equatable, Sendable, Codable {
    /// The answers to each question, which are compared with one another.
    public var answers: Int
    /// The most tokens of an answer.
    public var answerTokens: Int
    /// Answers are drawn among the fewest tokens whose probabilities add up to this; all when nil.
    public var topP: Double?
    /// The steps of the optimizer on the same answers; 1 when nil.
    public var updates: Int?
    /// What rewards are divided by, beyond the group's mean.
    public var advantage: GroupRelativePolicy.Advantage
    /// How far a ratio may leave 1.
    public var clip: Float
    /// What the divergence from the policy at the stage's beginning counts for.
    public var divergenceWeight: Float
    /// How the divergence is estimated.
    public var divergence: GroupRelativePolicy.Divergence
    /// How far, in nats a token, the policy may have moved from the one that wrote a worse answer than the others, before that
    /// answer no longer counts; never when nil.
    public var offPolicyLimit: Float?
    /// Whether experts and selections of the rollout are used in training; they are when nil.
    public var replays: Bool?
    /// What the parts of the reward count for; how right an answer is alone when nil.
    public var rewards: RewardWeights?

    /// Settings.
    public init(
        answers: Int,
        answerTokens: Int,
        topP: Double? = nil,
        updates: Int? = nil,
        advantage: GroupRelativePolicy.Advantage = .meanOnly,
        clip: Float = 0.2,
        divergenceWeight: Float = 0,
        divergence: GroupRelativePolicy.Divergence = .ratioWeighted,
        offPolicyLimit: Float? = nil,
        replays: Bool? = nil,
        rewards: RewardWeights? = nil
    ) {
        self.answers = answers
        self.answerTokens = answerTokens
        self.topP = topP
        self.updates = updates
        self.advantage = advantage
        self.clip = clip
        self.divergenceWeight = divergenceWeight
        self.divergence = divergence
        self.offPolicyLimit = offPolicyLimit
        self.replays = replays
        self.rewards = rewards
    }

    /// The same with a value in every field that may be left out.
    var withEveryField: PolicySettings {
        var full = self
        full.topP = topP ?? 1
        full.updates = updates ?? 1
        full.offPolicyLimit = offPolicyLimit ?? 0
        full.replays = replays ?? true
        full.rewards = (rewards ?? .init()).withEveryField
        return full
    }

    /// - Throws: `RecipeFault.invalid` naming the field that is out of range.
    func validate(stage: String) throws(RecipeFault) {
        let field = "\(stage).policy."
        try require((2...1024).contains(answers), field + "answers", answers, "2 to 1024")
        try require((1...65536).contains(answerTokens), field + "answerTokens", answerTokens, "1 to 65536")
        try require(isShare(topP), field + "topP", topP ?? 1, "above 0, at most 1")
        try require((1...1024).contains(updates ?? 1), field + "updates", updates ?? 1, "1 to 1024")
        try require(clip > 0 && clip < 1, field + "clip", clip, "above 0, below 1")
        for (name, value) in [
            ("divergenceWeight", divergenceWeight), ("offPolicyLimit", offPolicyLimit ?? 0),
        ] {
            try require(value >= 0 && value.isFinite, field + name, value, "a number of at least 0")
        }
        try rewards?.validate(field + "rewards")
    }
}

/// Whether a number is what a share of probability may be.
func isShare(_ value: Double?) -> Bool {
    value.map { $0 > 0 && $0 <= 1 } ?? true
}

/// What a step of policy optimization showed, means over its answers; as they were written unless said otherwise.
public struct PolicyMeasures: Equatable, Sendable, Codable {
    /// The reward.
    public var reward: Double
    /// The share of answers that are right.
    public var accuracy: Double
    /// The tokens of an answer.
    public var answerTokens: Double
    /// The share of words in the question's language; nil where no word told one.
    public var languageConsistency: Double?
    /// The entropy of the distributions that were drawn from, in nats a token.
    public var entropy: Double
    /// The divergence from the policy at the stage's beginning, in nats a token, as estimated, in the step's last update; nil
    /// where it counts for nothing, and so is not measured.
    public var divergence: Double?
    /// How far a token's log-probability in training is from the one it was drawn with, at most, before the first update.
    public var gap: Double
    /// The share of tokens selected in the rollout that training would have selected, too, before the first update; nil where
    /// nothing was selected, or selections are not replayed.
    public var selectionOverlap: Double?
    /// The share of tokens whose ratio was cut off, in the last update.
    public var clipped: Double
    /// The share of answers that no longer counted, in the last update.
    public var masked: Double
}

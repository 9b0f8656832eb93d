/// Tells what an answer is worth.
protocol Reward: Sendable {
    /// - Parameters:
    ///   - answer: its tokens, turn by turn, an end token included if a turn came to one.
    ///   - item: what was asked.
    ///   - outcome: how right the answer is, 0 … 1, as the question's judge says.
    /// - Returns: the reward, of any scale: answers to one question are compared with one another.
    func callAsFunction(_ answer: [[Int]], to item: TaskItem, outcome: Float) -> Float
}

/// What the parts of a reward count for.
///
/// The outcome is what a question's judge says, by rule or by rubric; the judges are those of the tasks.
///
/// Source: V3.2 report, "Mixed RL Training", names the parts; the form of the length penalty is this package's.
public struct RewardWeights: Equatable, Sendable, Codable {
    /// How right an answer is; 1 when nil.
    public var outcome: Float?
    /// What an answer of `answerTokens` tokens loses, shorter ones in proportion; nothing when nil.
    public var length: Float?
    /// The share of words in the question's language, where an answer has words that tell one; nothing when nil.
    public var language: Float?

    /// A part, by its name in a recipe.
    public enum Part: String, Sendable, CaseIterable {
        /// How right an answer is.
        case outcome
        /// What its length costs.
        case length
        /// Whether it keeps to the question's language.
        case language
    }

    /// What a part counts for.
    public subscript(part: Part) -> Float? {
        get {
            switch part {
            case .outcome: outcome
            case .length: length
            case .language: language
            }
        }
        set {
            switch part {
            case .outcome: outcome = newValue
            case .length: length = newValue
            case .language: language = newValue
            }
        }
    }

    /// Weights.
    public init(outcome: Float? = nil, length: Float? = nil, language: Float? = nil) {
        self.outcome = outcome
        self.length = length
        self.language = language
    }

    /// The same with a value in every field that may be left out.
    var withEveryField: RewardWeights {
        RewardWeights(outcome: outcome ?? 1, length: length ?? 0, language: language ?? 0)
    }

    /// - Throws: `RecipeFault.invalid` naming the field that is out of range.
    func validate(_ path: String) throws(RecipeFault) {
        for part in Part.allCases {
            let (value, field) = (self[part] ?? 0, "\(path).\(part.rawValue)")
            try require(value >= 0 && value.isFinite, field, value, "a number of at least 0")
        }
    }
}

/// The parts of a reward, weighted and added.
struct WeightedReward: Reward {
    let weights: RewardWeights
    /// The most tokens of an answer.
    let longest: Int

    func callAsFunction(_ answer: [[Int]], to item: TaskItem, outcome: Float) -> Float {
        let tokens = answer.reduce(0) { $0 + $1.count }
        let consistency = item.languageConsistency(of: answer) ?? 1
        return (weights.outcome ?? 1) * outcome - (weights.length ?? 0) * Float(tokens) / Float(longest)
            + (weights.language ?? 0) * Float(consistency)
    }
}

/// Tells what an answer is worth.
protocol Reward: Sendable {
    /// - Parameters:
    ///   - answer: its tokens, an end token included if it came to one.
    ///   - outcome: how right it is, 0 … 1, as the question's judge says.
    /// - Returns: the reward, of any scale: answers to one question are compared with one another.
    func callAsFunction(_ answer: [Int], outcome: Float) -> Float
}

/// How right an answer is, less what its length costs.
///
/// Source: V3.2 report, "Mixed RL Training", names both parts; the form of the penalty is this package's.
struct OutcomeReward: Reward {
    /// What an answer of `longest` tokens loses, shorter ones in proportion.
    let lengthPenalty: Float
    /// The most tokens of an answer.
    let longest: Int

    func callAsFunction(_ answer: [Int], outcome: Float) -> Float {
        outcome - lengthPenalty * Float(answer.count) / Float(longest)
    }
}

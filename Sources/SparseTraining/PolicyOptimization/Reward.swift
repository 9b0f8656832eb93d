/// Tells how good an answer is.
protocol Reward: Sendable {
    /// - Parameters:
    ///   - answer: its tokens, an end token included if it came to one.
    ///   - expected: the right ones.
    /// - Returns: the reward, of any scale: answers to one question are compared with one another.
    func callAsFunction(_ answer: [Int], expected: [Int]) -> Float
}

/// 1 for the right answer, less what its length costs.
///
/// Source: V3.2 report §2.2.1, rule-based outcome reward and length penalty.
struct OutcomeReward: Reward {
    /// What an answer of `longest` tokens loses, shorter ones in proportion.
    let lengthPenalty: Float
    /// The most tokens of an answer.
    let longest: Int

    func callAsFunction(_ answer: [Int], expected: [Int]) -> Float {
        (answer == expected ? 1 : 0) - lengthPenalty * Float(answer.count) / Float(longest)
    }
}

/// Guesses what comes next from where the text so far said the same before.
///
/// Source: Saxena 2023, *Prompt Lookup Decoding*.
struct PromptLookup {
    /// The most tokens of a guess.
    let limit: Int

    /// Tokens that have to agree for a guess: the more, the likelier it is right.
    private static let lengths = [3, 2]

    /// What followed the last tokens when they came before, the latest time.
    ///
    /// - Parameter text: all tokens so far.
    /// - Returns: at most `limit` tokens; none when the last two are new.
    func guess(_ text: [Int]) -> [Int] {
        for length in Self.lengths where text.count > length {
            let last = text.suffix(length)
            for start in stride(from: text.count - length - 1, through: 0, by: -1)
            where text[start] == last[last.startIndex] && text[start..<start + length] == last {
                let next = start + length
                return Array(text[next..<min(next + limit, text.count)])
            }
        }
        return []
    }
}

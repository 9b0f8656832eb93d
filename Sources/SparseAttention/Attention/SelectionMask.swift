/// A selection as one bit a pair of tokens, made once for all heads.
///
/// The form in which expanded attention hides what a selection does not hold: a bit costs a thirty-second of the score
/// it decides about.
struct SelectionMask: Sendable {
    /// The bits, `[queryTokens, wordsPerToken]`; bit `i` of word `w` stands for position `64 w + i`.
    private let words: [UInt64]
    private let wordsPerToken: Int

    /// The keys a word stands for; tiles begin at a multiple of it.
    static let wordKeys = UInt64.bitWidth

    /// The mask of a selection.
    ///
    /// - Parameters:
    ///   - selection: positions below `keyTokens`.
    ///   - keyTokens: the tokens of the sequence.
    init(_ selection: TokenSelection, keyTokens: Int) {
        let wordsPerToken = tileCount(keyTokens, Self.wordKeys)
        var words = [UInt64](repeating: 0, count: selection.queryTokens * wordsPerToken)
        for token in 0..<selection.queryTokens {
            for position in selection[token] where position >= 0 {
                let (word, bit) = Int(position).quotientAndRemainder(dividingBy: Self.wordKeys)
                words[token * wordsPerToken + word] |= 1 << bit
            }
        }
        self.words = words
        self.wordsPerToken = wordsPerToken
    }

    /// Sets the scores of keys that a query token did not select to −infinity.
    ///
    /// - Parameters:
    ///   - scores: those of `keys`.
    ///   - keys: a tile; begins at a multiple of `wordKeys`.
    ///   - token: the query token.
    func hide(_ scores: UnsafeMutablePointer<Float>, of keys: Range<Int>, for token: Int) {
        words.withUnsafeBufferPointer { words in
            guard let base = words.baseAddress else { return }
            Kernels.hide(
                scores,
                keeping: base + token * wordsPerToken + keys.lowerBound / Self.wordKeys,
                count: keys.count
            )
        }
    }
}

import SparseInference

/// Phrases of random words, stated again and again in new orders: recall at its densest.
///
/// *key cellar red, lamp Ada barn, lamp Ada barn, key cellar red,* and so on: no word is in two phrases, so when a phrase
/// comes again, all but its first word can be known, and nothing else counts. Attention that looks things up is learned
/// from it fastest.
///
/// Source: Arora et al., *Zoology*, multi-query associative recall.
struct Phrases {
    let vocabulary: TaskVocabulary
    /// The most phrases of a text: the fewer, the more often each comes again.
    let mostFacts: Int

    private static let words = WordList.things + WordList.places + WordList.looks + WordList.names

    /// A text of at most `length` tokens, and little less.
    ///
    /// - Parameters:
    ///   - length: at least 64.
    ///   - generator: makes the choices.
    /// - Returns: the text; what can be known of a phrase that comes again is an answer.
    func item(length: Int, _ generator: inout SplitMix64) -> TaskItem {
        var writer = ConversationWriter(.phrases, vocabulary)
        let size = Int.random(in: 2...5, using: &generator)
        let most = max(2, min(mostFacts, Self.words.count / size, length / (2 * (size + 1))))
        let words = Self.words.shuffled(using: &generator).map { " " + $0 }
        let phrases = (0..<Int.random(in: 2...most, using: &generator)).map {
            Array(words[$0 * size..<($0 + 1) * size])
        }
        var places = [Range<Int>?](repeating: nil, count: phrases.count)
        while true {
            for index in phrases.indices.shuffled(using: &generator) {
                guard writer.item.tokens.count + size + 1 <= length else { return writer.item }
                if let place = places[index] {
                    writer.text(Array(phrases[index].prefix(1)), weight: 0)
                    writer.recall(Array(phrases[index].dropFirst()), needle: place)
                } else {
                    places[index] = writer.text(phrases[index], weight: 0)
                }
                writer.text([","], weight: 0)
            }
        }
    }
}

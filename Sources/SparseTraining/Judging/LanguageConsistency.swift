/// How far an answer keeps to the language of its question.
///
/// Source: DeepSeek-R1 report, "Reinforcement Learning with Cold Start": the share of words of the target language.
enum LanguageConsistency {
    /// The share of the tokens that belong to one language that belong to this one.
    ///
    /// - Parameters:
    ///   - tokens: anything at all.
    ///   - language: that of the question.
    /// - Returns: 0 … 1; nil where no token tells a language, as of numbers and names.
    static func share(of tokens: some Sequence<Int>, in language: Language) -> Double? {
        var (own, other) = (0, 0)
        for token in tokens {
            if words[language]?.contains(token) == true { own += 1 }
            if words[language.other]?.contains(token) == true { other += 1 }
        }
        return own + other > 0 ? Double(own) / Double(own + other) : nil
    }

    /// The mean of some shares, those that are told; nil where none is.
    static func mean(_ shares: [Double?]) -> Double? {
        let told = shares.compactMap { $0 }
        return told.isEmpty ? nil : told.reduce(0, +) / Double(told.count)
    }

    /// The tokens that belong to one language alone.
    private static let words: [Language: Set<Int>] = {
        let vocabulary = TaskVocabulary()
        let english =
            WordList.things + WordList.places + WordList.looks + WordList.deeds + WordList.goods
            + WordList.manners + WordList.ways + WordList.links + WordList.englishLinks
        let german = WordList.germanDeeds + WordList.germanGoods + WordList.germanLinks
        func tokens(_ words: [String]) -> Set<Int> {
            Set(words.flatMap { vocabulary.find(" " + $0) + vocabulary.find($0) })
        }
        // *in* is a word of both.
        let both = tokens(["in"])
        return [
            .english: tokens(english).subtracting(both), .german: tokens(german).subtracting(both),
        ]
    }()
}

extension TaskItem {
    /// How far an answer to the first question keeps to its language.
    ///
    /// - Parameter answer: turn by turn.
    /// - Returns: as `LanguageConsistency.share`.
    func languageConsistency(of answer: [[Int]]) -> Double? {
        questions.first.flatMap { LanguageConsistency.share(of: answer.joined(), in: $0.language) }
    }
}

import SparseInference

/// Where someone is, to be found in a long document with the tools of ``DocumentShelf``.
///
/// *Where is Ada?* is asked; sections say *Ada is with Bruno.*, *Bruno is in Oslo.*, and much else. The demonstration searches for
/// a name, opens what is found until it is about that name, and goes on with the next; it answers *Ada is in Oslo.* The answer
/// alone is judged, in either language.
///
/// | level | hops | sections |
/// | --- | --- | --- |
/// | 1 | 1 | 12 |
/// | 2 | 2 | 24 |
/// | 3 | 3 | 36 |
/// | 4 | 4 | 48 |
struct SearchTasks {
    let vocabulary: TaskVocabulary

    /// What a section says: someone is with someone else, or in a city.
    private struct Fact {
        let person: String
        let other: String?
        let city: String

        func sentence(_ language: Language) -> [String] {
            [person, language.isWord] + (other.map { [language.with, " " + $0] } ?? [" in", " " + city]) + [
                "."
            ]
        }
    }

    /// A question of a level, with a demonstration.
    ///
    /// - Parameters:
    ///   - level: 1 to 4.
    ///   - languages: of question and document, and of the answer.
    ///   - generator: makes the choices.
    /// - Returns: the turn.
    func turn(level: Int, _ languages: (question: Language, answer: Language), _ generator: inout SplitMix64)
        -> Turn
    {
        let names = WordList.names.shuffled(using: &generator)
        let (chain, rest) = (Array(names[..<level]), Array(names[level..<12 * level]))
        let city = WordList.cities.pick(&generator)
        var facts = chain.enumerated().map { index, person in
            Fact(person: person, other: index + 1 < level ? chain[index + 1] : nil, city: city)
        }
        for (index, person) in rest.enumerated() {
            // The first may be with someone of the chain: a search finds that, too. Others are in company now and then.
            let company = index == 0 ? chain.pick(&generator) : rest[index - 1]
            let isAlone = Bool.random(using: &generator)
            facts.append(
                Fact(person: person, other: isAlone ? nil : company, city: WordList.cities.pick(&generator))
            )
        }
        facts.shuffle(using: &generator)
        let shelf = DocumentShelf(sections: facts.map { $0.sentence(languages.question).joined() })
        func answer(_ language: Language) -> [String] {
            Fact(person: chain[0], other: nil, city: city).sentence(language)
        }
        return Turn(
            question: languages.question.whereIs + [" " + chain[0], "?"],
            calls: chain.flatMap { Self.calls(for: $0, shelf) },
            answer: answer(languages.answer),
            judge: FinalAnswer(
                thinks: false,
                others: [vocabulary.ids(answer(languages.answer.other)) + [TaskVocabulary.end]]
            ),
            environment: ToolEnvironment(shelf, vocabulary: vocabulary)
        )
    }

    /// Searches for a name, and opens sections up to the one that is about it.
    private static func calls(for person: String, _ shelf: DocumentShelf) -> [[String]] {
        let found = shelf.search(person)
        let about = found.firstIndex { shelf.sections[$0 - 1].hasPrefix(person + " ") } ?? found.count - 1
        let opened = found[...about].map { [ToolMarkup.open, "\($0)", ToolMarkup.end] }
        return [[ToolMarkup.search, person, ToolMarkup.end]] + opened
    }
}

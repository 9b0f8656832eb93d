import SparseInference

/// A short text about something, with a rubric of its own.
///
/// *Write about bread, Oslo, not milk: 2.* asks for two sentences; *Ada buys bread. Bruno goes to Oslo.* fulfils it. The rubric asks
/// for each topic, the number of sentences, that none comes twice, what must not be named, and an end. Either language will do.
///
/// | level | topics and sentences | not to be named |
/// | --- | --- | --- |
/// | 1 | 1 or 2 | nothing |
/// | 2 | 2 | one thing |
/// | 3 | 3 | one thing |
/// | 4 | 4 | one thing |
struct WritingTasks {
    let vocabulary: TaskVocabulary

    /// The most tokens of a turn, markers included.
    static func longestTurn(level: Int) -> Int { 14 + 2 * max(level, 2) + 5 * max(level, 2) }

    /// Something to write about: a good by its number, or a city.
    private enum Topic: Hashable {
        case good(Int)
        case city(String)

        func word(_ language: Language) -> String {
            switch self {
            case .good(let number): " " + language.goods[number]
            case .city(let name): " " + name
            }
        }

        /// The word by itself, in English.
        var name: String { String(word(.english).dropFirst()) }
    }

    /// A question of a level, with a text that fulfils its rubric.
    ///
    /// - Parameters:
    ///   - level: 1 to 4.
    ///   - languages: of question and text.
    ///   - generator: makes the choices.
    /// - Returns: the turn.
    func turn(level: Int, _ languages: (question: Language, answer: Language), _ generator: inout SplitMix64)
        -> Turn
    {
        let count = level == 1 ? Int.random(in: 1...2, using: &generator) : level
        let goods = WordList.goods.indices.shuffled(using: &generator)
        let cities = WordList.cities.shuffled(using: &generator)
        let topics: [Topic] = (0..<count).map {
            Int.random(in: 0..<3, using: &generator) > 0 ? .good(goods[$0]) : .city(cities[$0])
        }
        let forbidden: Topic? = level > 1 ? .good(goods[count]) : nil
        let names = WordList.names.shuffled(using: &generator)
        let text = topics.enumerated().flatMap { index, topic in
            sentence(names[index], topic, isFirst: index == 0, languages.answer, &generator)
        }
        let language = languages.question
        let unnamed = forbidden.map { [",", language.not, $0.word(language)] } ?? []
        return Turn(
            question: language.writeAbout + topics.map { [$0.word(language)] }.joined(separator: [","])
                + unnamed + [":", " ", "\(count)", "."],
            answer: text,
            judge: RubricJudge(rubric(topics, forbidden), grader: RuleGrader())
        )
    }

    private func sentence(
        _ name: String,
        _ topic: Topic,
        isFirst: Bool,
        _ language: Language,
        _ generator: inout SplitMix64
    ) -> [String] {
        let deed =
            switch topic {
            case .good: [" " + language.deeds.pick(&generator)]
            case .city: language.goesTo
            }
        return [Prose.start(name, isFirst)] + deed + [topic.word(language), "."]
    }

    private func rubric(_ topics: [Topic], _ forbidden: Topic?) -> Rubric {
        func words(_ topic: Topic) -> Set<Int> {
            Set(Language.allCases.map { vocabulary.id(topic.word($0)) })
        }
        let stop = vocabulary.id(".")
        let named = topics.map { topic in
            Rubric.Item(.names(topic.name, words(topic)), weight: 2)
        }
        let unnamed = forbidden.map { topic in
            Rubric.Item(.avoids(topic.name, words(topic)), weight: 1)
        }
        return Rubric(
            named
                + [
                    Rubric.Item(.hasSentences(topics.count, stop: stop), weight: 2),
                    Rubric.Item(.repeatsNone(stop: stop), weight: 1),
                    Rubric.Item(.ends(stop: stop, end: TaskVocabulary.end), weight: 1),
                ] + (unnamed.map { [$0] } ?? [])
        )
    }
}

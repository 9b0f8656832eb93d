import SparseInference

/// Puzzles with one answer that follows: roads, rows, and who is where.
///
/// | puzzle | question | thinking | answer |
/// | --- | --- | --- | --- |
/// | roads | *Ada> Bruno, Dora> Emil, Bruno> Carla. Does Ada reach Carla?* | *Ada> Bruno, Bruno> Carla, so* | *yes.* |
/// | rows | *Ada< Carla, Bruno< Ada. Where is Bruno?* | *Bruno< Ada, Ada< Carla, so* | *3.* |
/// | places | *Oslo Prag Bern: Ada= Oslo, Bruno# Bern. Where is Carla?* | *Ada= Oslo, Bruno= Prag, Carla= Bern, so* | *Bern.* |
///
/// A road leads one way, and at most one begins at each person. In a row `<` tells who comes right behind whom. Of places
/// `=` says where someone is and `#` where someone is not; no two people are at the same one, and no statement can be left
/// out. The answer alone is judged, in either language.
struct LogicTasks {
    /// The most tokens of a turn, markers included.
    static func longestTurn(level: Int) -> Int { [56, 70, 92, 108][level - 1] }

    /// A puzzle of a level.
    ///
    /// - Parameters:
    ///   - level: 1 to 4.
    ///   - languages: of question and thinking.
    ///   - vocabulary: of the answers.
    ///   - generator: makes the choices.
    /// - Returns: the turn.
    func turn(
        level: Int,
        _ languages: (question: Language, answer: Language),
        _ vocabulary: TaskVocabulary,
        _ generator: inout SplitMix64
    ) -> Turn {
        switch Int.random(in: 0..<3, using: &generator) {
        case 0: roads(level: level, languages, vocabulary, &generator)
        case 1: row(level: level, languages, &generator)
        default: places(level: level, languages, &generator)
        }
    }

    // MARK: Roads

    private func roads(
        level: Int,
        _ languages: (question: Language, answer: Language),
        _ vocabulary: TaskVocabulary,
        _ generator: inout SplitMix64
    ) -> Turn {
        let longest = level + 2
        let names = WordList.names.shuffled(using: &generator)
        // Two ways that do not meet; the one asked for begins one of them.
        let way = Array(names[..<Int.random(in: 2...longest, using: &generator)])
        let other = Array(names[way.count..<way.count + Int.random(in: 2...longest, using: &generator)])
        let isReached = Bool.random(using: &generator)
        let target = (isReached ? way.dropFirst() : other[...]).randomElement(using: &generator) ?? way[0]
        let roads = [way, other].flatMap { zip($0, $0.dropFirst()) }.shuffled(using: &generator)
        let followed = isReached ? Array(way[...(way.firstIndex(of: target) ?? 0)]) : way
        let language = languages.answer
        return Turn(
            question: Self.list(roads.map { [" " + $0.0, ">", " " + $0.1] })
                + Self.asked(languages.question.reaches(way[0], target)),
            thinking: Self.steps(followed, ">") + [language.so],
            answer: [language.answer(isReached), "."],
            judge: FinalAnswer(
                others: [vocabulary.ids([language.other.answer(isReached), "."]) + [TaskVocabulary.end]]
            )
        )
    }

    // MARK: Rows

    private func row(
        level: Int,
        _ languages: (question: Language, answer: Language),
        _ generator: inout SplitMix64
    ) -> Turn {
        let row = Array(WordList.names.shuffled(using: &generator).prefix(level + 2))
        let asked = Int.random(in: row.indices, using: &generator)
        let clues = zip(row.dropFirst(), row).shuffled(using: &generator)
        return Turn(
            question: Self.list(clues.map { [" " + $0.0, "<", " " + $0.1] })
                + Self.asked(languages.question.whereIs + [" " + row[asked], "?"]),
            // Forward to the first, one by one.
            thinking: Self.steps(row[...asked].reversed(), "<") + [languages.answer.so],
            answer: ["\(asked + 1)", "."],
            judge: FinalAnswer()
        )
    }

    // MARK: Places

    /// Whether someone is at a place; both by number.
    struct Statement: Hashable {
        let person: Int
        let place: Int
        let isThere: Bool
    }

    private func places(
        level: Int,
        _ languages: (question: Language, answer: Language),
        _ generator: inout SplitMix64
    ) -> Turn {
        let count = level < 3 ? 3 : 4
        let names = Array(WordList.names.shuffled(using: &generator).prefix(count))
        let cities = Array(WordList.cities.shuffled(using: &generator).prefix(count))
        let asked = Int.random(in: 0..<count, using: &generator)
        let statements = Self.statements(count, asked: asked, &generator)
        let said = statements.map {
            [" " + names[$0.person], $0.isThere ? "=" : "#", " " + cities[$0.place]]
        }
        // In the order they are named, who is asked for at the end.
        var order: [Int] = []
        for person in statements.map(\.person) where person != asked && !order.contains(person) {
            order.append(person)
        }
        let solution = (order + [asked]).flatMap { [" " + names[$0], "=", " " + cities[$0], ","] }
        let list = cities.shuffled(using: &generator).map { " " + $0 }
        return Turn(
            question: Self.beginning(list) + [":"] + said.joined(separator: [","]) + ["."]
                + Self.asked(languages.question.whereIs + [" " + names[asked], "?"]),
            thinking: solution + [languages.answer.so],
            answer: [cities[asked], "."],
            judge: FinalAnswer()
        )
    }

    /// True statements that leave one arrangement and name everyone, none of which can be left out.
    private static func statements(_ count: Int, asked: Int, _ generator: inout SplitMix64) -> [Statement] {
        while true {
            // Person i is at place i. All that is true, as far as it is needed.
            var statements = (0..<count).flatMap { person in
                (0..<count).map { Statement(person: person, place: $0, isThere: person == $0) }
            }.filter { !$0.isThere || $0.person != asked }.shuffled(using: &generator)
            for statement in statements {
                let others = statements.filter { $0 != statement }
                if arrangements(of: count, others).count == 1 { statements = others }
            }
            if Set(statements.map(\.person) + [asked]).count == count { return statements }
        }
    }

    /// All ways to place people, one a place, in which every statement holds.
    static func arrangements(of count: Int, _ statements: [Statement]) -> [[Int]] {
        var found: [[Int]] = []
        func extend(_ placed: [Int]) {
            guard placed.count < count else { return found.append(placed) }
            let person = placed.count
            for place in 0..<count where !placed.contains(place) {
                let holds = statements.allSatisfy {
                    $0.person != person || $0.isThere == ($0.place == place)
                }
                if holds { extend(placed + [place]) }
            }
        }
        extend([])
        return found
    }

    // MARK: Wording

    /// What is said one after another, at the beginning of a text.
    private static func list(_ clues: [[String]]) -> [String] {
        beginning(Array(clues.joined(separator: [","]))) + ["."]
    }

    /// The same without the space before it.
    private static func beginning(_ pieces: [String]) -> [String] {
        [String(pieces[0].dropFirst())] + pieces.dropFirst()
    }

    /// A question behind a list.
    private static func asked(_ question: [String]) -> [String] {
        [" " + question[0]] + question.dropFirst()
    }

    /// From each to the next, as it was said; one alone is just named.
    private static func steps(_ names: [String], _ sign: String) -> [String] {
        guard names.count > 1 else { return [" " + names[0], ","] }
        return zip(names, names.dropFirst()).flatMap { [" " + $0, sign, " " + $1, ","] }
    }
}

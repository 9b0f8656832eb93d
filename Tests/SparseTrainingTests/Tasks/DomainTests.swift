import Foundation
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Puzzles, agents and texts in two languages: demonstrations are right, damaged ones are not, and each answer follows.
final class DomainTests: XCTestCase {
    private let vocabulary = TaskVocabulary()
    private static let kinds: [TaskKind] = [.steps, .logic, .coding, .search, .writing]

    /// Items of every level, in both languages.
    private func items(_ kind: TaskKind, _ count: Int = 120, slips: Double = 0) -> [TaskItem] {
        let languages = LanguageMix(german: 0.5, slips: slips)
        let stream = TaskStream(seed: 4, split: .training, questions: 1, languages: languages)
        return (0..<count).map { stream.item(kind, $0, length: 64 << ($0 % 4)) }
    }

    private func turns(_ item: TaskItem) -> [[Int]] {
        item.questions[0].turns.map { Array(item.tokens[$0]) }
    }

    /// The text, without markers.
    private func text(_ tokens: some Collection<Int>) throws -> String {
        let markers = 0..<TaskVocabulary.markers.count
        return try XCTUnwrap(vocabulary.text(tokens.filter { !markers.contains($0) }))
    }

    private func question(_ item: TaskItem) throws -> String {
        try text(item.tokens[..<item.questions[0].answer.lowerBound])
    }

    func testDemonstrationsAreRightInEitherLanguageAndDamagedOnesAreNot() throws {
        for kind in Self.kinds {
            for item in items(kind, slips: 0.5) {
                let (question, turns) = (item.questions[0], turns(item))
                let text = try text(item.tokens)
                XCTAssertEqual(item.outcome(of: turns, to: question), 1, text)
                for damaged in [
                    [], [[]], [[TaskVocabulary.end]],
                    turns.dropLast() + [Array(turns[turns.count - 1].dropLast())],
                ] {
                    XCTAssertLessThan(item.outcome(of: damaged, to: question), 1, text)
                }
                // Every turn but the last is replied to, with what stands in the item.
                for number in turns.indices {
                    let reply = question.environment?.reply(to: Array(turns[...number]))
                    let next = number + 1 < turns.count ? question.turns[number + 1].lowerBound : nil
                    XCTAssertEqual(
                        reply,
                        next.map { Array(item.tokens[question.turns[number].upperBound..<$0]) },
                        text
                    )
                }
                // What is learned is what is written.
                let written = Set(question.turns.joined())
                for token in question.answer {
                    XCTAssertEqual(item.weights[token], written.contains(token) ? 1 : 0)
                }
            }
        }
    }

    func testLanguagesAreThoseOfTheMix() throws {
        for kind in Self.kinds {
            var shares: [Language: Set<Double>] = [:]
            for item in items(kind) {
                let (language, asked) = (item.questions[0].language, try question(item))
                let prompt = item.tokens[..<item.questions[0].answer.lowerBound]
                XCTAssertEqual(LanguageConsistency.share(of: prompt, in: language), 1, asked)
                let share = LanguageConsistency.share(of: turns(item).joined(), in: language)
                shares[language, default: []].insert(share ?? 1)
            }
            XCTAssertEqual(shares, [.english: [1], .german: [1]], "\(kind)")
            let slipped = items(kind, slips: 1).map { item in
                LanguageConsistency.share(of: turns(item).joined(), in: item.questions[0].language) ?? 0
            }
            XCTAssertEqual(Set(slipped), [0], "\(kind)")
        }
        XCTAssertNil(LanguageConsistency.share(of: vocabulary.ids(["4", ".", " Ada", " in"]), in: .german))
        let mixed = vocabulary.ids([" first", " dann", " also", " Oslo"])
        XCTAssertEqual(
            try XCTUnwrap(LanguageConsistency.share(of: mixed, in: .german)),
            2.0 / 3,
            accuracy: 1e-12
        )
        // English alone draws nothing for a choice there is not.
        let (plain, english) = (
            TaskStream(seed: 4, split: .training),
            TaskStream(seed: 4, split: .training, languages: LanguageMix(german: 0, slips: 0))
        )
        XCTAssertEqual(plain.item(.logic, 3, length: 200).tokens, english.item(.logic, 3, length: 200).tokens)
    }

    func testEpisodesAreShort() {
        for (kind, most) in [(TaskKind.coding, [64, 64, 64, 70]), (.search, [64, 100, 140, 180])] {
            let stream = TaskStream(seed: 5, split: .training)
            for level in 1...4 {
                let lengths = (0..<60).map { stream.item(kind, $0, length: 32 << level).tokens.count }
                XCTAssertLessThanOrEqual(lengths.max() ?? 0, most[level - 1], "\(kind) \(level)")
            }
        }
        let stream = TaskStream(seed: 5, split: .training)
        for kind in [TaskKind.steps, .logic, .writing] {
            for length in [64, 128, 256, 512] {
                for index in 0..<60 {
                    XCTAssertLessThanOrEqual(
                        stream.item(kind, index, length: length).tokens.count,
                        length,
                        "\(kind)"
                    )
                }
            }
        }
    }

    // MARK: Tools

    func testWhatIsDoneWithToolsDecides() throws {
        for item in items(.coding, 200) {
            let (question, turns) = (item.questions[0], turns(item))
            let (test, edit, done) = (turns[0], turns[1], turns[3])
            let text = try text(item.tokens)
            for right in [[edit, done], [edit, test, test, [TaskVocabulary.end]]] {
                XCTAssertEqual(item.outcome(of: right, to: question), 1, text)
            }
            let swapped = [edit[0], edit[3], edit[2], edit[1]] + edit[4...]
            for wrong in [[done], [test, test, done], [swapped, done], [edit, swapped, done], [edit]] {
                XCTAssertLessThan(item.outcome(of: wrong, to: question), 1, text)
            }
        }
        for item in items(.search, 200) {
            let (question, turns) = (item.questions[0], turns(item))
            let answer = turns[turns.count - 1]
            // Another city, and no answer at all.
            let city = try XCTUnwrap(WordList.cities.first { vocabulary.id(" " + $0) != answer[3] })
            var wrong = answer
            wrong[3] = vocabulary.id(" " + city)
            let text = try text(item.tokens)
            XCTAssertEqual(item.outcome(of: turns.dropLast() + [wrong], to: question), 0, text)
            XCTAssertEqual(item.outcome(of: Array(turns.dropLast()), to: question), 0, text)
        }
    }

    func testEpisodesFollowFromTheSeed() {
        for kind in [TaskKind.coding, .search] {
            for (item, again) in zip(items(kind, 200, slips: 0.5), items(kind, 200, slips: 0.5)) {
                XCTAssertEqual(item.tokens, again.tokens)
                XCTAssertEqual(item.questions[0].turns, again.questions[0].turns)
            }
        }
    }

    // MARK: Logic

    func testPuzzlesHaveTheAnswerThatFollows() throws {
        var puzzles: [String: [String: Int]] = [:]
        for item in items(.logic, 300) {
            let question = try question(item)
            let final = try text(turns(item)[0].split(separator: TaskVocabulary.endOfThinking)[1])
            let parts = question.split(separator: ".", maxSplits: 1)
            let clues = (parts[0].split(separator: ":").last ?? "").split(separator: ",").map {
                $0.filter { $0 != " " }
            }
            let words = parts[1].split { !$0.isLetter }.map(String.init)
            if clues[0].contains(">") {
                let roads = clues.map { $0.split(separator: ">").map(String.init) }
                var (reached, next) = (Set<String>(), [words[1]])
                while let here = next.popLast() {
                    guard reached.insert(here).inserted else { continue }
                    next += roads.filter { $0[0] == here }.map { $0[1] }
                }
                let isReached = reached.contains(words[words.count - 1])
                XCTAssertTrue((isReached ? ["yes.", "ja."] : ["no.", "nein."]).contains(final), question)
                puzzles["roads", default: [:]][isReached ? "yes" : "no", default: 0] += 1
            } else if clues[0].contains("<") {
                let pairs = clues.map { $0.split(separator: "<").map(String.init) }
                // Forward to the first of the row, which comes behind nobody.
                var row = [words[words.count - 1]]
                while let pair = pairs.first(where: { $0[0] == row[row.count - 1] }) { row.append(pair[1]) }
                XCTAssertEqual(final, "\(row.count).", question)
                let thought = try text(turns(item)[0].prefix { $0 != TaskVocabulary.endOfThinking })
                for (one, other) in zip(row, row.dropFirst()) {
                    XCTAssertTrue(thought.contains("\(one)< \(other)"), question)
                }
                puzzles["rows", default: [:]][final, default: 0] += 1
            } else {
                puzzles["places", default: [:]][final, default: 0] += 1
            }
        }
        XCTAssertEqual(Set(puzzles.keys), ["roads", "rows", "places"])
        for answers in puzzles.values {
            let all = answers.values.reduce(0, +)
            XCTAssertLessThan(answers.values.max() ?? 0, all * 2 / 3, "one answer would do: \(puzzles)")
        }
    }

    func testPlacesFollowAndNothingCanBeLeftOut() throws {
        typealias Statement = LogicTasks.Statement
        XCTAssertEqual(LogicTasks.arrangements(of: 3, []).count, 6)
        var seen = 0
        for item in items(.logic, 300) {
            let question = try question(item)
            let said = question.split(separator: ".")[0].split(separator: ":").map(String.init)
            guard said.count == 2 else { continue }
            let list = said[1]
            let final = try text(turns(item)[0].split(separator: TaskVocabulary.endOfThinking)[1]).dropLast()
            let words = list.split(separator: ",").map { $0.split { !$0.isLetter }.map(String.init) }
            // The thinking names everyone with a place.
            let solution = try text(turns(item)[0].prefix { $0 != TaskVocabulary.endOfThinking })
                .split(separator: ",").dropLast().map { $0.split { !$0.isLetter }.map(String.init) }
            let (people, places) = (solution.map { $0[0] }, solution.map { $0[1] })
            let statements = try zip(words, list.split(separator: ",")).map { word, clue in
                Statement(
                    person: try XCTUnwrap(people.firstIndex(of: word[0])),
                    place: try XCTUnwrap(places.firstIndex(of: word[1])),
                    isThere: clue.contains("=")
                )
            }
            XCTAssertEqual(
                LogicTasks.arrangements(of: people.count, statements),
                [Array(people.indices)],
                question
            )
            for left in statements {
                let others = statements.filter { $0 != left }
                XCTAssertGreaterThan(LogicTasks.arrangements(of: people.count, others).count, 1, question)
            }
            let asked = try XCTUnwrap(question.dropLast().split(separator: " ").last).description
            XCTAssertEqual(places[try XCTUnwrap(people.firstIndex(of: asked))], String(final))
            XCTAssertFalse(zip(words, statements).contains { $0[0] == asked && $1.isThere }, question)
            XCTAssertEqual(Set(said[0].split(separator: " ").map(String.init)), Set(places), "all are listed")
            XCTAssertEqual(people.last, asked)
            seen += 1
        }
        XCTAssertGreaterThan(seen, 50)
    }

    // MARK: Writing

    func testRubricsAreWeighedItemByItem() throws {
        let stop = vocabulary.id(".")
        let bread = Set(vocabulary.ids([" bread", " Brot"]))
        let rubric = Rubric([
            .init(.names("bread", bread), weight: 2), .init(.hasSentences(2, stop: stop), weight: 2),
            .init(.repeatsNone(stop: stop), weight: 1),
            .init(.avoids("milk", [vocabulary.id(" milk")]), weight: 1),
            .init(.ends(stop: stop, end: TaskVocabulary.end), weight: 2),
        ])
        let judge = RubricJudge(rubric, grader: RuleGrader())
        func outcome(_ text: String, ends: Bool = true) -> Float {
            judge.outcome(of: [vocabulary.encode(text) + (ends ? [TaskVocabulary.end] : [])], expected: [])
        }
        XCTAssertEqual(outcome("Ada buys bread. Bruno sells salt."), 1)
        XCTAssertEqual(outcome("Ada kauft Brot. Bruno sells salt."), 1)
        XCTAssertEqual(outcome("Ada buys wool. Bruno sells salt."), 6.0 / 8)
        XCTAssertEqual(outcome("Ada buys bread. Bruno sells milk."), 7.0 / 8)
        XCTAssertEqual(outcome("Ada buys bread. Ada buys bread."), 1, "the second begins with a space")
        XCTAssertEqual(outcome("Ada buys bread. Bruno sells salt. Bruno sells salt."), 5.0 / 8)
        XCTAssertEqual(outcome("Ada buys bread."), 6.0 / 8)
        XCTAssertEqual(outcome("Ada buys bread. Bruno sells salt.", ends: false), 6.0 / 8)
        XCTAssertEqual(judge.outcome(of: [], expected: []), 2.0 / 8)
    }

    func testAModelGradesThroughTheSameInterface() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: folder) }
        try TinyRun.write(to: folder)
        let wide = TinyRun.configuration.replacingOccurrences(
            of: "\"vocab_size\": 760",
            with: "\"vocab_size\": 1024"
        )
        for (name, sizes) in [("narrow", TinyRun.configuration), ("wide", wide)] {
            let own = folder.appendingPathComponent(name)
            let files = TrainingFiles(folder: own)
            try files.keep(Data(sizes.utf8), as: "config.json")
            let configuration = try ModelConfiguration(contentsOf: own.appendingPathComponent("config.json"))
            try TaskVocabulary(limit: configuration.vocabularySize).write(to: own)
            try ParameterSet(random: configuration, deviation: 0.3, seed: 2)
                .write(to: own.appendingPathComponent("model.safetensors"), dataType: .float32)
        }
        let narrow = try LanguageModel(contentsOf: folder.appendingPathComponent("narrow"))
        XCTAssertThrowsError(try ModelGrader(narrow)) {
            XCTAssertTrue("\($0)".contains("vocab_size is 760, expected at least"), "\($0)")
        }
        let grader = try ModelGrader(LanguageModel(contentsOf: folder.appendingPathComponent("wide")))
        let item = items(.writing)[0]
        guard let judge = item.questions[0].judge as? RubricJudge else { return XCTFail("no rubric") }
        var grades: [Float] = []
        for item in judge.rubric.items {
            let grade = try grader.grade(turns(items(.writing)[0])[0], item.criterion)
            XCTAssertTrue((0...1).contains(grade))
            XCTAssertEqual(grade, try grader.grade(turns(items(.writing)[0])[0], item.criterion))
            grades.append(grade)
        }
        XCTAssertGreaterThan(Set(grades).count, 1)
        let weights = judge.rubric.items.map(\.weight)
        let score = try judge.rubric.score(of: turns(item)[0], by: grader)
        let expected = zip(grades, weights).reduce(0) { $0 + $1.0 * $1.1 } / weights.reduce(0, +)
        XCTAssertEqual(score, expected, accuracy: 1e-6)
    }

    func testRewardsAreWeighed() throws {
        let item = try XCTUnwrap(items(.steps).first { $0.questions[0].language == .german })
        let mixed = vocabulary.ids([" erst", " then", " ", "4"])
        func reward(_ weights: RewardWeights) -> Float {
            WeightedReward(weights: weights, longest: 8)([mixed], to: item, outcome: 0.5)
        }
        XCTAssertEqual(reward(.init()), 0.5)
        XCTAssertEqual(reward(.init(outcome: 2)), 1)
        XCTAssertEqual(reward(.init(length: 1)), 0)
        XCTAssertEqual(reward(.init(language: 0.4)), 0.7)
        XCTAssertEqual(reward(.init(outcome: 0, language: 1)), 0.5)
        // Where no word tells a language, nothing is lost.
        let silent = WeightedReward(weights: .init(language: 0.4), longest: 8)
        XCTAssertEqual(silent([vocabulary.ids(["4"])], to: item, outcome: 0.5), 0.9)
    }

    func testAnswersAreLearnedWithoutThinking() throws {
        let item = items(.logic)[0]
        let turn = item.questions[0].turns[0]
        var whole = item
        whole.tokens = Array(item.tokens[..<turn.upperBound])
        whole.weights = Array(item.weights[..<turn.upperBound])
        whole.questions = [item.questions[0]]
        let short = whole.withoutThinking
        let answer = short.questions[0].turns[0]
        XCTAssertEqual(short.tokens[answer.lowerBound - 1], TaskVocabulary.endOfThinking)
        XCTAssertFalse(short.tokens.contains(TaskVocabulary.beginOfThinking))
        XCTAssertEqual(
            Array(short.tokens[answer]),
            Array(turns(item)[0].split(separator: TaskVocabulary.endOfThinking)[1])
        )
        XCTAssertEqual(
            Array(short.tokens[..<(answer.lowerBound - 1)]),
            Array(item.tokens[..<(turn.lowerBound - 1)])
        )
        XCTAssertEqual(short.weights.count, short.tokens.count)
        XCTAssertTrue(short.weights[answer].allSatisfy { $0 == 1 })
        XCTAssertEqual(short.weights[..<answer.lowerBound].reduce(0, +), 0)
        // What has no thinking stays as it is.
        XCTAssertEqual(items(.writing)[0].withoutThinking.tokens, items(.writing)[0].tokens)
    }
}

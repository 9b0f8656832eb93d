import SparseInference
import XCTest

@testable import SparseTraining

/// Programs, steps and orderings: reference answers are right, wrong ones are not, and there is one answer to be found.
final class LeveledTaskTests: XCTestCase {
    private let vocabulary = TaskVocabulary()

    /// Items of every level, an answer each, 200 in all.
    private func items(_ kind: TaskKind) -> [TaskItem] {
        let stream = TaskStream(seed: 12, split: .training, questions: 1)
        return (0..<200).map { stream.item(kind, $0, length: 64 << ($0 % 4)) }
    }

    private func text(_ tokens: some Collection<Int>) throws -> String {
        let markers = 0..<TaskVocabulary.markers.count
        return try XCTUnwrap(vocabulary.text(tokens.filter { !markers.contains($0) }))
    }

    /// What is asked, and what is answered.
    private func turns(_ item: TaskItem) throws -> [(question: String, answer: [Int])] {
        try item.questions.map { question in
            let prompt = item.tokens[..<question.answer.lowerBound]
            let start = (prompt.lastIndex(of: TaskVocabulary.user) ?? 0) + 1
            return (try text(prompt[start...]), Array(item.tokens[question.answer]))
        }
    }

    func testReferenceAnswersAreRightAndOthersAreNot() throws {
        for kind in [TaskKind.programs, .steps, .ordering] {
            for item in items(kind) {
                let turns = try turns(item)
                for (question, turn) in zip(item.questions, turns) {
                    XCTAssertEqual(item.outcome(of: [turn.answer], to: question), 1, turn.question)
                    var wrong = turn.answer
                    // What is written, or the number that is answered, becomes another.
                    let place = wrong.count - (kind == .programs ? 2 : 3)
                    wrong[place] = vocabulary.id(
                        kind == .programs ? "_" : wrong[place] == vocabulary.id("7") ? "8" : "7"
                    )
                    XCTAssertLessThan(item.outcome(of: [wrong], to: question), 1, turn.question)
                    for cut in [Array(turn.answer.dropLast()), [], [TaskVocabulary.end]] {
                        XCTAssertLessThan(item.outcome(of: [cut], to: question), 1, turn.question)
                    }
                }
            }
        }
    }

    func testItemsFitAndGrowHarder() throws {
        for (length, level) in [(64, 1), (127, 1), (128, 2), (256, 3), (511, 3), (512, 4), (100_000, 4)] {
            XCTAssertEqual(LeveledTasks.highestLevel(length: length), level, "\(length)")
        }
        let stream = TaskStream(seed: 13, split: .evaluation)
        for kind in [TaskKind.programs, .steps, .ordering] {
            var longest: [Int] = []
            for length in [64, 128, 256, 512] {
                let items = (0..<20).map { stream.item(kind, $0, length: length) }
                XCTAssertTrue(items.allSatisfy { $0.tokens.count <= length }, "\(kind) \(length)")
                XCTAssertTrue(items.allSatisfy { $0.tokens.count > length - 102 }, "\(kind) \(length)")
                longest.append(try items.flatMap { try turns($0) }.map(\.question.utf8.count).max() ?? 0)
            }
            XCTAssertEqual(longest, longest.sorted(), "\(kind)")
            XCTAssertGreaterThan(longest[3], longest[0], "\(kind)")
        }
    }

    func testProgramsDoWhatIsShown() throws {
        var programs = Set<String>()
        for item in items(.programs) {
            let turn = try turns(item)[0]
            let program = try StackProgram(text(turn.answer))
            programs.insert(program.text)
            let tests = try XCTUnwrap(item.questions[0].judge as? ProgramTests).tests
            var shown: [[Int]] = []
            for example in turn.question.split(separator: ",") {
                let sides = example.split(separator: ">", omittingEmptySubsequences: false)
                let numbers = sides.map { $0.split(separator: " ").compactMap { Int($0) } }
                XCTAssertEqual(StackMachine().run(program, input: numbers[0]), .finished(numbers[1]))
                shown.append(numbers[0])
            }
            XCTAssertEqual(Set(shown).count, shown.count)
            XCTAssertTrue(Set(tests.map(\.input)).isDisjoint(with: shown), "hidden tests are shown")
            // Neither the input itself nor what was shown first will do.
            for lazy in ["?!", "\(shown[0][0])!"] {
                let answer = vocabulary.ids(try StackProgram(lazy).pieces) + [TaskVocabulary.end]
                XCTAssertLessThan(item.outcome(of: [answer], to: item.questions[0]), 1, turn.question)
            }
        }
        XCTAssertGreaterThan(programs.count, 100)
    }

    func testAnyProgramForTheRuleIsRight() throws {
        for item in items(.programs).prefix(50) {
            // Pushed and dropped again.
            let other = "1_" + (try text(turns(item)[0].answer)) + ";"
            let answer = vocabulary.ids(try StackProgram(other).pieces) + [TaskVocabulary.end]
            XCTAssertEqual(item.outcome(of: [answer], to: item.questions[0]), 1, other)
        }
    }

    func testStepsAreRightAndLeadFromOneToTheNext() throws {
        var checked = 0
        for item in items(.steps) {
            let (question, answer) = try turns(item)[0]
            XCTAssertEqual(
                item.tokens[item.questions[0].answer.lowerBound - 1],
                TaskVocabulary.beginOfThinking
            )
            let parts = answer.split(separator: TaskVocabulary.endOfThinking)
            XCTAssertEqual(parts.count, 2)
            var value: Int?
            var term = ""
            for step in try text(parts[0]).split(separator: ",") {
                let words = step.split(separator: " ")
                let numbers = words[1].split { !$0.isNumber }.compactMap { Int($0) }
                let sign = try XCTUnwrap(words[1].first { !$0.isNumber })
                let result =
                    sign == "*" ? numbers[0] * numbers[1] : numbers[0] + (sign == "+" ? 1 : -1) * numbers[1]
                XCTAssertEqual(numbers[2], result, "\(step)")
                if words[0] == "check" {
                    // It begins with what the step gave, or is the product the other way round.
                    XCTAssertEqual(sign == "*" ? numbers[2] : numbers[0], value, "\(step)")
                    checked += 1
                    continue
                }
                XCTAssertEqual(words[0], value == nil ? "first" : "then")
                XCTAssertEqual(value ?? numbers[0], numbers[0], "\(step)")
                term += (value == nil ? "\(numbers[0])" : "") + "\(sign)\(numbers[1])"
                value = result
            }
            XCTAssertEqual("What is \(term)?", question)
            XCTAssertEqual(try text(parts[1]), "\(try XCTUnwrap(value)).")
        }
        XCTAssertGreaterThan(checked, 100)
    }

    func testClearAnswersNeedNoThinking() throws {
        let item = items(.steps)[0]
        let final = try XCTUnwrap(
            turns(item)[0].answer.split(separator: TaskVocabulary.endOfThinking).last
        )
        XCTAssertEqual(item.outcome(of: [[TaskVocabulary.endOfThinking] + final], to: item.questions[0]), 1)
        XCTAssertEqual(item.outcome(of: [Array(final)], to: item.questions[0]), 0)
    }

    func testOrderingsHaveOnePlaceForWhoIsAskedFor() throws {
        for (index, item) in items(.ordering).enumerated() {
            let (question, answer) = try turns(item)[0]
            let sentences = question.split(separator: ".")
            let clues = sentences[0].split(separator: ",").map { clue in
                clue.split(separator: "<").map { $0.trimmingCharacters(in: .whitespaces) }
            }
            let people = Set(clues.joined()).sorted()
            let asked = try XCTUnwrap(sentences[1].split(separator: " ").last?.dropLast()).description
            // All orders there are, those left out in which a clue does not hold: small ones only, for the time it takes.
            guard people.count <= 4 || index % 40 == 3 else { continue }
            let places = permutations(people).filter { row in
                clues.allSatisfy { clue in
                    (row.firstIndex(of: clue[0]) ?? 0) < (row.firstIndex(of: clue[1]) ?? 0)
                }
            }.map { ($0.firstIndex(of: asked) ?? -1) + 1 }
            XCTAssertEqual(Set(places).map { "\($0)." }, [try text(answer)], question)
        }
        XCTAssertEqual(OrderingTasks.places(of: 0, people: 3, [.init(first: 0, second: 1)]), [0, 1])
        XCTAssertEqual(OrderingTasks.places(of: 2, people: 3, []), [0, 1, 2])
    }

    private func permutations(_ people: [String]) -> [[String]] {
        guard !people.isEmpty else { return [[]] }
        return people.flatMap { person in
            permutations(people.filter { $0 != person }).map { [person] + $0 }
        }
    }
}

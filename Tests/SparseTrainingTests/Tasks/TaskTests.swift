import Foundation
import SparseInference
import XCTest

@testable import SparseTraining

final class TaskTests: XCTestCase {
    private func tokenizer() throws -> Tokenizer {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try TaskVocabulary().write(to: folder)
        return try Tokenizer(contentsOf: folder)
    }

    func testItemsAreWhatTheTokenizerMakesOfTheirText() throws {
        let tokenizer = try tokenizer()
        XCTAssertEqual(tokenizer.vocabularySize, TaskVocabulary().count)
        XCTAssertEqual(TaskVocabulary(limit: 768).count, 758, "the ids of the model of the demonstration")
        XCTAssertLessThanOrEqual(TaskVocabulary().count, 1024)
        let stream = TaskStream(seed: 1, split: .training, languages: LanguageMix(german: 0.5, slips: 0.5))
        for kind in TaskKind.allCases {
            for index in 0..<8 {
                let item = stream.item(kind, index, length: 400)
                let text = try tokenizer.decode(item.tokens)
                XCTAssertEqual(tokenizer.encode(text), item.tokens, "\(kind) \(index): \(text)")
                XCTAssertEqual(TaskVocabulary().encode(text), item.tokens, "\(kind) \(index): \(text)")
            }
        }
        XCTAssertEqual(try tokenizer.decode(tokenizer.encode("Grüße, 多 12345!")), "Grüße, 多 12345!")
    }

    func testLengthsAreFilled() {
        let stream = TaskStream(seed: 2, split: .training)
        for kind in [TaskKind.needle, .hops, .prose] {
            for length in [64, 65, 100, 257, 1000, 4096] {
                let item = stream.item(kind, length, length: length)
                XCTAssertLessThanOrEqual(item.tokens.count, length, "\(kind)")
                XCTAssertGreaterThan(item.tokens.count, length - 48, "\(kind)")
                XCTAssertEqual(item.weights.count, item.tokens.count)
            }
        }
    }

    func testFactsAreStatedAgainAndCountThen() throws {
        let tokenizer = try tokenizer()
        let stream = TaskStream(seed: 6, split: .training, questions: 4, tokensPerFact: 24, restatements: 2)
        let item = stream.item(.needle, 0, length: 400)
        XCTAssertLessThanOrEqual(item.tokens.count, 400)
        let answers = item.questions.reduce(0) { $0 + $1.answer.count }
        let text = try tokenizer.decode(item.tokens)
        for question in item.questions {
            let fact = try tokenizer.decode(Array(item.tokens[question.needles[0]]))
            XCTAssertEqual(text.components(separatedBy: fact.drop { $0 == " " }).count, 4, "\(fact): \(text)")
            XCTAssertTrue(question.needles[0].allSatisfy { item.weights[$0] < 1 })
        }
        let recalled = item.weights.filter { $0 == 1 }.count - answers
        XCTAssertGreaterThan(recalled, 0)
        XCTAssertEqual(recalled % 2, 0, "two restatements of each fact")
    }

    func testAnswersFollowFromTheirNeedles() throws {
        let tokenizer = try tokenizer()
        let stream = TaskStream(seed: 3, split: .evaluation)
        for kind in [TaskKind.needle, .hops] {
            for index in 0..<10 {
                let item = stream.item(kind, index, length: 1500)
                XCTAssertEqual(item.questions.count, 16)
                for question in item.questions {
                    XCTAssertEqual(question.needles.count, kind == .needle ? 1 : 2)
                    let answer = try tokenizer.decode(Array(item.tokens[question.answer].dropLast()))
                    let place = try XCTUnwrap(answer.split(separator: " ").last)
                    let facts = try question.needles.map { try tokenizer.decode(Array(item.tokens[$0])) }
                    XCTAssertTrue(facts.contains { $0.hasSuffix("is in the \(place)") }, "\(facts) \(answer)")
                    XCTAssertTrue(question.answer.allSatisfy { item.weights[$0] == 1 })
                }
            }
        }
    }

    func testPhrasesComeAgainWordByWord() throws {
        let tokenizer = try tokenizer()
        for index in 0..<20 {
            let stream = TaskStream(seed: 8, split: .training, mostFacts: 4)
            let item = stream.item(.phrases, index, length: 120)
            let text = try tokenizer.decode(Array(item.tokens.dropFirst(2)))
            let phrases = text.split(separator: ",").map(String.init)
            let different = Set(phrases)
            XCTAssertTrue((2...4).contains(different.count), text)
            XCTAssertEqual(item.questions.count, phrases.count - different.count, text)
            let words = different.flatMap { $0.split(separator: " ") }
            XCTAssertEqual(Set(words).count, words.count, "a word is in two phrases: \(text)")
            for question in item.questions {
                let stated = Array(item.tokens[question.needles[0]])
                XCTAssertEqual(Array(stated.dropFirst()), Array(item.tokens[question.answer]), text)
            }
            let answers = item.questions.reduce(0) { $0 + $1.answer.count }
            XCTAssertEqual(item.weights.reduce(0, +), Float(answers), "nothing else can be known")
        }
    }

    func testEveryNumberOfFactsOccurs() {
        let stream = TaskStream(
            seed: 9,
            split: .training,
            questions: 2,
            tokensPerFact: 9,
            restatements: 8,
            mostFacts: 4
        )
        let items = (0..<40).map { stream.item(.needle, $0, length: 128) }
        XCTAssertTrue(items.allSatisfy { $0.tokens.count <= 128 })
        let vocabulary = TaskVocabulary()
        let things = Set(WordList.things.map { vocabulary.id(" " + $0) })
        let counts = Set(items.map { Set($0.tokens).intersection(things).count })
        XCTAssertEqual(counts, [2, 3, 4])
    }

    func testDocumentsAreThoseOfTheItemsAndTheirQuestionsStandAlone() throws {
        let tokenizer = try tokenizer()
        let stream = TaskStream(seed: 10, split: .evaluation, questions: 5)
        let (item, document) = (stream.item(.needle, 3, length: 700), stream.document(3, length: 700))
        XCTAssertEqual(Array(item.tokens.prefix(document.tokens.count)), document.tokens)
        XCTAssertEqual(document.questions.map(\.answer), item.questions.map { Array(item.tokens[$0.answer]) })
        XCTAssertEqual(document.questions.map(\.needles), item.questions.map(\.needles))
        for question in document.questions {
            XCTAssertEqual(
                try tokenizer.decode(question.prompt),
                " \(question.text)" + TaskVocabulary.markers[3...4].dropFirst().joined()
                    + TaskVocabulary.markers[6]
            )
        }
        let own = try NeedleDocument("Ada is here.", questions: ["Where?"], tokenizer: tokenizer)
        XCTAssertEqual(try tokenizer.decode(own.tokens), TaskVocabulary.markers[0] + "<｜User｜>Ada is here.")
        XCTAssertEqual(try tokenizer.decode(own.questions[0].prompt), " Where?<｜Assistant｜></think>")
        XCTAssertThrowsError(try NeedleDocument("Ada", questions: ["Where?"], tokenizer: nil))
    }

    func testCopiesSumsAndBracketsAreRight() throws {
        let tokenizer = try tokenizer()
        let stream = TaskStream(seed: 4, split: .training)
        for index in 0..<5 {
            let item = stream.item(.arithmetic, index, length: 300)
            let text = try tokenizer.decode(item.tokens, skippingSpecialTokens: true)
            for turn in text.components(separatedBy: "What is ").dropFirst() {
                let numbers = turn.split { !$0.isNumber }.compactMap { Int($0) }
                let expected = turn.contains("+") ? numbers[0] + numbers[1] : numbers[0] - numbers[1]
                XCTAssertEqual(numbers[2], expected, turn)
            }
        }
    }

    func testStreamsAreReproducibleAndNeverMeet() {
        let training = TaskStream(seed: 5, split: .training)
        let evaluation = TaskStream(seed: 5, split: .evaluation)
        for kind in TaskKind.allCases {
            XCTAssertEqual(
                training.item(kind, 7, length: 200).tokens,
                TaskStream(seed: 5, split: .training).item(kind, 7, length: 200).tokens
            )
            let learned = Set((0..<50).map { training.item(kind, $0, length: 200).tokens })
            XCTAssertEqual(learned.count, 50, "\(kind)")
            let measured = (0..<50).map { evaluation.item(kind, $0, length: 200).tokens }
            XCTAssertTrue(learned.isDisjoint(with: measured), "\(kind)")
        }
    }
}

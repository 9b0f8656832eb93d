import XCTest

@testable import SparseTraining

/// What judges say of right answers, of others as right, and of wrong ones.
final class AnswerJudgeTests: XCTestCase {
    private let vocabulary = TaskVocabulary()

    /// The tokens of an answer, a byte each.
    private func tokens(_ text: String, ends: Bool = true) -> [Int] {
        text.map { vocabulary.id(String($0)) } + (ends ? [TaskVocabulary.end] : [])
    }

    func testAnExactMatchIsTheSameTokens() {
        XCTAssertEqual(ExactMatch().outcome(of: [tokens("ab")], expected: [tokens("ab")]), 1)
        XCTAssertEqual(ExactMatch().outcome(of: [tokens("ab", ends: false)], expected: [tokens("ab")]), 0)
        XCTAssertEqual(ExactMatch().outcome(of: [], expected: [tokens("ab")]), 0)
    }

    func testOnlyWhatFollowsTheThinkingCounts() {
        let end = TaskVocabulary.endOfThinking
        let expected = tokens("1+1=2", ends: false) + [end] + tokens("2.")
        func outcome(_ answer: [Int]) -> Float { FinalAnswer().outcome(of: [answer], expected: [expected]) }
        XCTAssertEqual(outcome(expected), 1)
        XCTAssertEqual(outcome([end] + tokens("2.")), 1)
        XCTAssertEqual(outcome(tokens("1+1=3", ends: false) + [end] + tokens("2.")), 1)
        XCTAssertEqual(outcome([end] + tokens("3.")), 0)
        XCTAssertEqual(outcome([end] + tokens("2.", ends: false)), 0)
        XCTAssertEqual(outcome([end, end] + tokens("2.")), 0)
        XCTAssertEqual(outcome(tokens("2.")), 0, "it never came to an answer")
        XCTAssertEqual(outcome([]), 0)
    }

    func testProgramsAreWorthTheTestsTheyPass() {
        let judge = ProgramTests(
            (0..<4).map { ProgramTests.Test(input: [$0], output: [2 * $0]) },
            vocabulary: vocabulary
        )
        func outcome(_ text: String) -> Float { judge.outcome(of: [tokens(text)], expected: []) }
        XCTAssertEqual(outcome("?2*!"), 1)
        XCTAssertEqual(outcome("?:+!"), 1, "another program as right")
        XCTAssertEqual(outcome("?!"), 0.25)
        XCTAssertEqual(outcome("?:*!"), 0.5)
        for text in ["", "?", "?2*!!", "?2*!0!", "x", "?2*!]", "1[1]"] {
            XCTAssertEqual(outcome(text), 0, text)
        }
        XCTAssertEqual(judge.outcome(of: [tokens("?2*!", ends: false)], expected: []), 0)
        for strange in [TaskVocabulary.user, -1, vocabulary.count, .max, vocabulary.id("\n")] {
            XCTAssertEqual(judge.outcome(of: [[strange] + tokens("?2*!")], expected: []), 0, "\(strange)")
        }
    }

    func testTextsOfTokens() {
        let pieces = ["Ada", " key", "42", " ", "7", "!"]
        XCTAssertEqual(vocabulary.text(vocabulary.ids(pieces)), "Ada key42 7!")
        XCTAssertEqual(vocabulary.text([]), "")
        XCTAssertEqual(vocabulary.text([TaskVocabulary.markers.count + 255]), "\u{FFFD}", "half a character")
        XCTAssertNil(vocabulary.text([TaskVocabulary.end]))
        XCTAssertNil(vocabulary.text([vocabulary.count]))
    }
}

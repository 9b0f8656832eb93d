import SparseInference
import XCTest

@testable import SparseTraining

/// What tools do, and what they say to calls that are none.
final class ToolTests: XCTestCase {
    private let vocabulary = TaskVocabulary()

    private func call(_ name: String, _ arguments: String = "{}") throws -> ToolCall {
        try ToolCall(name: name, arguments: arguments)
    }

    private func workspace(_ program: String = "?4+!") -> CodeWorkspace {
        CodeWorkspace(
            program: program,
            tests: [.init(input: [3], output: [8]), .init(input: [10], output: [15])]
        )
    }

    func testAFileIsEditedAndTested() throws {
        var box = workspace()
        XCTAssertEqual(box.call(try call("test")), "3>7 not 8")
        XCTAssertEqual(box.call(try call("edit", #"{"old": "4", "new": "5"}"#)), "ok")
        XCTAssertEqual(box.program, "?5+!")
        XCTAssertEqual(box.call(try call("test")), "pass")
        XCTAssertEqual(box.call(try call("edit", #"{"old": "+", "new": ":<["}"#)), "ok")
        XCTAssertEqual(box.call(try call("test")), "3> not 8", "what cannot run writes nothing")
        for old in ["", "9", "no such text"] {
            XCTAssertEqual(box.call(try call("edit", #"{"old": "\#(old)", "new": "1"}"#)), "not once")
        }
        var twice = workspace("?4+4+!")
        XCTAssertEqual(twice.call(try call("edit", #"{"old": "4", "new": "5"}"#)), "not once")
        XCTAssertEqual(twice.program, "?4+4+!")
        var overlapping = workspace("?:::!")
        XCTAssertEqual(overlapping.call(try call("edit", #"{"old": "::", "new": "+"}"#)), "not once")
        XCTAssertEqual(overlapping.call(try call("edit", #"{"old": ":::", "new": ":"}"#)), "ok")
        XCTAssertEqual(overlapping.program, "?:!")
    }

    func testDocumentsAreSearchedByWordsAndOpenedByNumber() throws {
        var shelf = DocumentShelf(sections: [
            "Ada is with Bruno.", "Bruno is in Oslo.", "Carla is with Ada.", "Dora is with Ada.",
            "Emil is with Ada.",
        ])
        XCTAssertEqual(shelf.call(try call("search", #"{"words": "Ada"}"#)), "1 3 4")
        XCTAssertEqual(shelf.call(try call("search", #"{"words": "Ada, Bruno!"}"#)), "1")
        XCTAssertEqual(shelf.call(try call("search", #"{"words": "Brun"}"#)), "none")
        XCTAssertEqual(shelf.call(try call("search", #"{"words": " . "}"#)), "none")
        XCTAssertEqual(shelf.call(try call("open", #"{"section": "2"}"#)), "Bruno is in Oslo.")
        for section in ["0", "6", "-1", "two", "99999999999999999999", ""] {
            XCTAssertEqual(shelf.call(try call("open", #"{"section": "\#(section)"}"#)), "none")
        }
    }

    func testResultsAreShort() throws {
        let open = try call("open", #"{"section": "1"}"#)
        for (length, isShown) in [(DocumentShelf.longest, true), (DocumentShelf.longest + 1, false)] {
            let section = String(repeating: "a", count: length)
            var shelf = DocumentShelf(sections: [section])
            XCTAssertEqual(shelf.call(open), isShown ? section : "too long")
        }
    }

    func testWrongCallsSaySo() throws {
        var (box, shelf) = (workspace(), DocumentShelf(sections: ["Ada is in Oslo."]))
        let long = String(repeating: "a", count: 2000)
        for wrong in [
            try call("run"), try call(""), try call("edit"), try call("edit", #"{"old": "4"}"#),
            try call("edit", #"{"old": "4", "new": 5}"#),
            try call("edit", #"{"old": "4", "new": "5", "all": "1"}"#),
            try call("edit", #"{"old": "4", "new": "\#(long)"}"#), try call("test", #"{"name": "all"}"#),
            try call("search"), try call("search", #"{"word": "Ada"}"#),
            try call("search", #"{"words": ["Ada"]}"#),
            try call("open", #"{"section": 1}"#), try call("open", #"{"section": null}"#),
        ] {
            XCTAssertEqual(box.call(wrong), "bad call", "\(wrong)")
            XCTAssertEqual(shelf.call(wrong), "bad call", "\(wrong)")
        }
        XCTAssertEqual(box.program, "?4+!")
        // A file does not grow without end.
        var text = "1"
        for _ in 0..<20 {
            let longer = text + text
            _ = box.call(try call("edit", #"{"old": "\#(text == "1" ? "4" : text)", "new": "\#(longer)"}"#))
            text = longer
        }
        XCTAssertLessThanOrEqual(box.program.utf8.count, 1024)
    }

    // MARK: As an environment

    private func turn(_ pieces: [String]) -> [Int] { vocabulary.ids(pieces) + [TaskVocabulary.end] }

    /// Calls are DeepSeek's own text, and so are the replies.
    func testTheEnvironmentSpeaksDSML() throws {
        let calls = [
            turn([ToolMarkup.test]), turn([ToolMarkup.edit, "4", ToolMarkup.new, "5", ToolMarkup.end]),
            turn([ToolMarkup.test]),
        ]
        let expected = [
            ("test", "{}", "3>7 not 8"), ("edit", #"{"old": "4", "new": "5"}"#, "ok"), ("test", "{}", "pass"),
        ]
        let environment = ToolEnvironment(workspace(), vocabulary: vocabulary)
        let encoder = ChatEncoder(.dsml)
        for (number, (name, arguments, result)) in expected.enumerated() {
            let message = ChatMessage(.assistant, "", toolCalls: [try call(name, arguments)])
            let told = [ChatMessage(.user, "Fix"), message, ChatMessage(.tool, result)]
            let text = try encoder.encode([message], after: [told[0]])
            XCTAssertEqual(vocabulary.encode(text), calls[number])
            let reply = try encoder.encode([told[2]], after: Array(told[..<2]))
            XCTAssertEqual(environment.reply(to: Array(calls[...number])), vocabulary.encode(reply))
        }
        XCTAssertEqual(environment.toolbox(after: calls).program, "?5+!")
        XCTAssertEqual(environment.toolbox.program, "?4+!", "a reply changes nothing")
        XCTAssertLessThanOrEqual(calls.map(\.count).max() ?? 0, 8)
    }

    func testATurnWithoutAReadableCallIsTheLast() throws {
        let environment = ToolEnvironment(workspace(), vocabulary: vocabulary)
        let test = turn([ToolMarkup.test])
        XCTAssertNotNil(environment.reply(to: [test]))
        let strange: [[Int]] = [
            [], [TaskVocabulary.end], turn(["4"]), Array(test.dropLast()), [-1] + test,
            [TaskVocabulary.user] + test,
            turn([ToolMarkup.edit, "4"]), turn([ToolMarkup.end]), turn([ToolMarkup.edit, ToolMarkup.test]),
            [1 << 40, TaskVocabulary.end],
        ]
        for turn in strange {
            XCTAssertNil(environment.reply(to: [turn]), "\(turn)")
            XCTAssertNil(environment.reply(to: [test, turn]), "\(turn)")
            XCTAssertNil(environment.reply(to: [turn, test]), "what follows a last turn: \(turn)")
        }
        XCTAssertNil(environment.reply(to: []))
        let most = ToolEnvironment<CodeWorkspace>.mostTurns
        XCTAssertNotNil(environment.reply(to: Array(repeating: test, count: most)))
        XCTAssertNil(environment.reply(to: Array(repeating: test, count: most + 1)))
    }
}

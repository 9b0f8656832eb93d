import Foundation
import XCTest

@testable import SparseInference

/// Prompts written and answers read; whole prompts are compared with a reference's in the golden data.
final class ChatTests: XCTestCase {
    private let weather = #"{"city": "Zürich", "days": 3, "more": {"a": [1, 2.50, null]}, "empty": ""}"#

    // MARK: Encoding

    func testPlainTurns() throws {
        let encoder = ChatEncoder(.plain, mode: .thinking)
        let messages = [
            ChatMessage(.system, "Be brief."), ChatMessage(.user, "Hi"),
            ChatMessage(.assistant, "Hm.</think>Hello."), ChatMessage(.user, "Bye"),
        ]
        let prompt = try encoder.encode(messages)
        XCTAssertEqual(
            prompt,
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜></think>Hello.<｜end▁of▁sentence｜>"
                + "<｜User｜>Bye<｜Assistant｜><think>"
        )
        // In two parts it is the same.
        for cut in 1..<messages.count {
            let first = try encoder.encode(Array(messages[..<cut]), invitesAnswer: false)
            let rest = try encoder.encode(Array(messages[cut...]), after: Array(messages[..<cut]))
            XCTAssertEqual(first + rest, prompt, "cut at \(cut)")
        }
        XCTAssertThrowsError(try encoder.encode([ChatMessage(.tool, "4")])) {
            XCTAssertEqual($0 as? ChatFault, .notInFormat("the role tool", message: 0))
        }
    }

    func testReasoningIsKeptBehindTheLastQuestionAlone() throws {
        let messages = [
            ChatMessage(.user, "1?"), ChatMessage(.assistant, "A", reasoning: "old"),
            ChatMessage(.user, "2?"),
            ChatMessage(.assistant, "B", reasoning: "new"),
        ]
        let prompt = try ChatEncoder(.dsml, mode: .thinking).encode(messages)
        XCTAssertFalse(prompt.contains("old"))
        XCTAssertTrue(prompt.hasSuffix("<｜User｜>2?<｜Assistant｜><think>new</think>B<｜end▁of▁sentence｜>"))
    }

    func testRefusals() throws {
        for (json, fault) in [
            ("[1]", ChatFault.malformedJSON("message 0", reason: "is 1, expected an object")),
            (
                #"[{"role": "user"}]"#,
                .malformedJSON("message 0.content", reason: "is missing, expected a string")
            ),
            (#"[{"role": "bard", "content": ""}]"#, .unknownRole("bard", message: 0)),
            (
                #"[{"role": "assistant", "tool_calls": [{"function": {"name": "f", "arguments": "[1]"}}]}]"#,
                .malformedJSON("arguments of f", reason: "is an array of 1, expected an object")
            ),
        ] {
            XCTAssertThrowsError(try ChatMessage.read(Data(json.utf8)), json) {
                XCTAssertEqual($0 as? ChatFault, fault)
            }
        }
        XCTAssertThrowsError(try ChatEncoder.Mode(named: "loud")) {
            XCTAssertEqual($0 as? ChatFault, .unknownMode("loud"))
        }
        let encoder = ChatEncoder(.dsml)
        XCTAssertThrowsError(try encoder.encode([ChatMessage(.user, "?"), ChatMessage(.tool, "4")])) {
            XCTAssertEqual($0 as? ChatFault, .resultWithoutCall(message: 1))
        }
    }

    // MARK: Parsing

    /// An answer, and what it has to become.
    private func answers() throws -> [ChatMessage] {
        [
            ChatMessage(.assistant, "Plain < text > with </ and \n\n and e\u{301} 🙂"),
            ChatMessage(.assistant, "A", reasoning: "Thinking <｜ hard"),
            ChatMessage(
                .assistant,
                "",
                reasoning: "",
                toolCalls: [try ToolCall(name: "noop", arguments: "{}")]
            ),
            ChatMessage(
                .assistant,
                "I look.",
                reasoning: "Two calls.",
                toolCalls: [
                    try ToolCall(name: "get_weather", arguments: weather),
                    try ToolCall(name: "say", arguments: #"{"text": "a\n<b> & \"c\" </｜DSML｜"}"#),
                ]
            ),
        ]
    }

    func testWhatIsWrittenIsReadHoweverItIsCut() throws {
        for answer in try answers() {
            let mode: ChatEncoder.Mode = answer.reasoning == nil ? .chat : .thinking
            let encoder = ChatEncoder(.dsml, mode: mode)
            let question = [ChatMessage(.user, "?")]
            let text = try encoder.encode([answer], after: question)
            try assertIsRead(text, as: answer, encoder)
        }
    }

    func testTextIsToldAsSoonAsItCanBeNothingElse() throws {
        var parser = ChatParser(ChatEncoder(.dsml))
        XCTAssertEqual(try parser.append("Hello <"), [.content("Hello ")])
        XCTAssertEqual(try parser.append("b> "), [.content("<b> ")])
        XCTAssertEqual(try parser.append("\n\n<｜DSML｜func"), [])
        XCTAssertEqual(try parser.finish(), [.content("\n\n<｜DSML｜func")])
    }

    func testCallsThatAreNotWellFormedAreRefused() {
        let call = "<｜DSML｜invoke name=\"f\">\n"
        for (calls, message) in [
            ("nonsense", "found \"nonsense\", expected <｜DSML｜invoke"),
            ("\(call)<x></｜DSML｜invoke>", "expected a parameter"),
            ("\(call)<｜DSML｜parameter name=\"k\"></｜DSML｜invoke>", "a parameter's name does not end"),
            (
                "\(call)<｜DSML｜parameter name=\"k\" string=\"maybe\">1</｜DSML｜parameter></｜DSML｜invoke>",
                "string=\"maybe\""
            ),
            (
                "\(call)<｜DSML｜parameter name=\"k\" string=\"false\">{</｜DSML｜parameter></｜DSML｜invoke>",
                "parameter k: the text ends"
            ),
            (
                call
                    + String(
                        repeating: "<｜DSML｜parameter name=\"k\" string=\"true\">1</｜DSML｜parameter>",
                        count: 2
                    )
                    + "</｜DSML｜invoke>", "f: "
            ),
            (call, "the answer ends before"),
        ] {
            var parser = ChatParser(ChatEncoder(.dsml))
            XCTAssertThrowsError(
                try {
                    _ = try parser.append("<｜DSML｜function_calls>\n" + calls)
                    _ = try parser.finish()
                }(),
                calls
            ) { XCTAssertTrue("\($0)".contains(message), "\($0)") }
        }
    }

    // MARK: JSON

    func testJSONIsWrittenAsPythonWritesIt() throws {
        for (json, expected) in [
            ("[1,-0,12345678901234567890123]", "[1, 0, 12345678901234567890123]"),
            (
                "[0.1,1e-7,1E22,1e16,123456789012345680.0]",
                "[0.1, 1e-07, 1e+22, 1e+16, 1.2345678901234568e+17]"
            ),
            (
                "[1e15,2.50,-0.0,0.0001,0.00001,5e-324]",
                "[1000000000000000.0, 2.5, -0.0, 0.0001, 1e-05, 5e-324]"
            ),
            (
                "[1234567890123456.0,9007199254740993.0,1e400]",
                "[1234567890123456.0, 9007199254740992.0, Infinity]"
            ),
            (
                #"{"b":"\u0000\u001f\u007f/\"\\\n\t\u2028é","a":{}}"#,
                "{\"b\": \"\\u0000\\u001f\u{7f}/\\\"\\\\\\n\\t\u{2028}é\", \"a\": {}}"
            ),
        ] {
            XCTAssertEqual(try JSONValue(parsing: Array(json.utf8)).pythonText, expected)
        }
    }
}

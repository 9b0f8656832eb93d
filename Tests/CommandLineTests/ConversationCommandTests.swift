import Foundation
import XCTest

/// `dsa chat` and sessions of `dsa generate` as processes, with the model that comes along.
final class ConversationCommandTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private let text =
        "Ada goes to the mill and buys bread soon. The brass key is in the cellar. Karl draws fish again."

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    func testAConversationInTheTerminal() throws {
        let dsa = try CommandLine()
        let lines = [
            text + " \\", "Where is the brass key?", "/stats on", "Where is the brass key?", "/history",
            "/undo",
            "/nonsense", "/save \(path("turns.json"))", "/quit", "never read",
        ]
        let result = try dsa.run(
            ["chat", "--model", "demo", "--max-tokens", "8"],
            input: lines.joined(separator: "\n")
        )
        XCTAssertEqual(result.status, 0, result.output)
        XCTAssertTrue(result.output.contains("In the cellar."), result.output)
        XCTAssertTrue(result.output.contains("tokens/s"), result.output)
        XCTAssertTrue(result.output.contains("/nonsense is no command"), result.output)
        let saved = try Data(contentsOf: folder.appendingPathComponent("turns.json"))
        let messages = try XCTUnwrap(JSONSerialization.jsonObject(with: saved) as? [[String: Any]])
        XCTAssertEqual(messages.compactMap { $0["role"] as? String }, ["user", "assistant"])
        // The file can be answered.
        let question = #"[{"role": "user", "content": "\#(text) Where is the brass key?"}]"#
        try Data(question.utf8).write(to: folder.appendingPathComponent("question.json"))
        let answer = try dsa.run(["chat", "--model", "demo", "--messages", path("question.json"), "--json"])
        XCTAssertEqual(answer.output, "{\"role\": \"assistant\", \"content\": \"In the cellar.\"}\n")
    }

    func testADocumentIsReadOnceAndAskedTwice() throws {
        let dsa = try CommandLine()
        func ask(_ question: String) throws -> String {
            let prompt = "<｜User｜>\(text) \(question)<｜Assistant｜></think>"
            let arguments = [
                "generate", "--model", "demo", "--prompt", prompt, "--session", path("a.session"),
            ]
            let result = try dsa.run(arguments)
            XCTAssertEqual(result.status, 0, result.output)
            return result.output
        }
        let first = try ask("Where is the brass key?")
        XCTAssertTrue(first.contains("session: 0 of "), first)
        XCTAssertTrue(first.contains("In the cellar."), first)
        let second = try ask("Where is the red lamp?")
        XCTAssertFalse(second.contains("session: 0 of "), second)
        for (tokens, message) in [("0", "maxTokens is 0"), ("\(Int.max)", "expected 1 to")] {
            let result = try dsa.run([
                "generate", "--model", "demo", "--prompt", "A", "--session", path("a.session"),
                "--max-tokens", tokens,
            ])
            XCTAssertEqual(result.status, 1)
            XCTAssertTrue(result.output.contains(message), result.output)
        }
        try Data("nothing".utf8).write(to: folder.appendingPathComponent("a.session"))
        let refused = try dsa.run([
            "generate", "--model", "demo", "--prompt", "A", "--session", path("a.session"),
        ])
        XCTAssertEqual(refused.status, 1)
        XCTAssertTrue(refused.output.contains("a.session"), refused.output)
    }

    /// The model that comes along with its markers renamed: what it learned to say behind DeepSeek's it says behind GLM's.
    private func writeGLM(template: String) throws {
        let demo = try CommandLine().demoModel
        let files = FileManager.default
        for name in ["config.json", "model.safetensors"] {
            try files.copyItem(at: demo.appendingPathComponent(name), to: folder.appendingPathComponent(name))
        }
        for name in ["tokenizer.json", "tokenizer_config.json"] {
            var text = try String(contentsOf: demo.appendingPathComponent(name), encoding: .utf8)
            for (marker, other) in [
                ("<｜begin▁of▁sentence｜>", "[gMASK]"), ("<｜▁pad▁｜>", "<sop>"), ("<｜User｜>", "<|user|>"),
                ("<｜Assistant｜>", "<|assistant|>"), ("<｜end▁of▁sentence｜>", "<|endoftext|>"),
            ] { text = text.replacingOccurrences(of: marker, with: other) }
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
        try Data(template.utf8).write(to: folder.appendingPathComponent("chat_template.jinja"))
    }

    func testAGLMIsSpokenToInItsOwnWay() throws {
        try writeGLM(template: "{{- '</think>' if (enable_thinking is defined) else '<think>' -}}")
        let dsa = try CommandLine()
        let result = try dsa.run(
            ["chat", "--model", folder.path, "--max-tokens", "8"],
            input: text + " Where is the brass key?\n"
        )
        XCTAssertEqual(result.status, 0, result.output)
        XCTAssertEqual(result.output, "In the cellar.\n")
        // The markers are the same, the template is another one.
        try Data("/nothink".utf8).write(to: folder.appendingPathComponent("chat_template.jinja"))
        let refused = try dsa.run(["chat", "--model", folder.path], input: "Hi\n")
        XCTAssertEqual(refused.status, 1)
        XCTAssertTrue(
            refused.output.contains("conversations of GLM-4.5 and GLM-4.6 are written"),
            refused.output
        )
    }
}

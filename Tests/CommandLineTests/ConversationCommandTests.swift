import Foundation
import XCTest

/// `dsa chat` and sessions of `dsa generate` as processes, with the model that comes along.
final class ConversationCommandTests: CommandLineTestCase {
    private let text =
        "Ada goes to the mill and buys bread soon. The brass key is in the cellar. Karl draws fish again."

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

    func testEveryCommand() throws {
        let question = text + " Where is the brass key?"
        let steps: [(line: String, answer: String)] = [
            ("/history", "system: Be brief.\n"), (question, "In the cellar.\n"),
            ("/history", "system: Be brief.\nuser: \(question)\nassistant: In the cellar.\n"), ("/clear", ""),
            ("/history", "system: Be brief.\n"), ("/system Be kind.", ""), ("/history", "system: Be kind.\n"),
            ("/undo", ""), ("/system", ""), ("/history", ""), ("", ""), ("/think on", ""), ("/think off", ""),
            ("/think loud", "\"loud\": expected on or off.\n"), ("/stats", "\"\": expected on or off.\n"),
            ("/attention both", "\"both\" is no attention; expected sparse or dense.\n"),
            (question, "In the cellar.\n"), ("/attention dense", ""), ("/undo", ""),
            (question, "In the cellar.\n"), ("/save", "/save needs a file.\n"),
            ("/save \(path("none"))/turns.json", "turns.json"),
            ("/hlep", "/hlep is no command; /help lists them.\n"), ("/exit", ""),
            ("never read", ""),
        ]
        let result = try CommandLine().run(
            ["chat", "--model", "demo", "--max-tokens", "8", "--system", "Be brief."],
            input: steps.map { $0.line + "\n" }.joined()
        )
        XCTAssertEqual(result.status, 0)
        var rest = result.output[...]
        for (line, answer) in steps {
            guard
                let range = rest.range(of: answer)
                    ?? (answer.isEmpty ? rest.startIndex..<rest.startIndex : nil)
            else { return XCTFail("\(line): \"\(answer)\" is not in \(rest)") }
            rest = rest[range.upperBound...]
        }
        XCTAssertEqual(result.output.components(separatedBy: "In the cellar.").count, 5, result.output)
        // The list names every command, and the end of input ends the program.
        let help = try CommandLine().run(["chat", "--model", "demo"], input: "/help")
        XCTAssertEqual(help.status, 0)
        for command in [
            "help", "clear", "undo", "system", "think", "attention", "stats", "history", "save", "quit",
        ] {
            XCTAssertTrue(
                help.output.contains("\n/\(command)") || help.output.hasPrefix("/\(command)"),
                command
            )
        }
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
        // Another mode, a damaged byte, a cut, and what is no session: refused by name, and left as they are.
        let file = folder.appendingPathComponent("a.session")
        let whole = try Data(contentsOf: file)
        var damaged = whole
        damaged[whole.count / 2] ^= 1
        for (data, more, message) in [
            (
                whole, ["--attention", "dense"],
                "was read with attention sparse from 0, expected dense from 0"
            ),
            (damaged, [], "is damaged"), (whole.prefix(whole.count / 2), [], "is no session"),
            (Data("nothing".utf8), [], "is no session"), (Data(), [], "is no session"),
        ] {
            try data.write(to: file)
            let arguments = ["generate", "--model", "demo", "--prompt", "A", "--session", file.path] + more
            let refused = try dsa.run(arguments)
            XCTAssertEqual(refused.status, 1)
            XCTAssertTrue(refused.output.contains("a.session: \(message)"), refused.output)
            XCTAssertEqual(try Data(contentsOf: file), data)
        }
    }

    /// Writes the model that comes along with some of its texts replaced.
    private func writeModel(replacing texts: [(String, String)]) throws {
        let demo = try CommandLine().demoModel
        try FileManager.default.copyItem(
            at: demo.appendingPathComponent("model.safetensors"),
            to: folder.appendingPathComponent("model.safetensors")
        )
        for name in ["config.json", "tokenizer.json", "tokenizer_config.json"] {
            var text = try String(contentsOf: demo.appendingPathComponent(name), encoding: .utf8)
            for (old, new) in texts { text = text.replacingOccurrences(of: old, with: new) }
            try Data(text.utf8).write(to: folder.appendingPathComponent(name))
        }
    }

    func testAGLMIsSpokenToInItsOwnWay() throws {
        // What the model learned to say behind DeepSeek's markers it says behind GLM's.
        try writeModel(replacing: [
            ("<｜begin▁of▁sentence｜>", "[gMASK]"), ("<｜▁pad▁｜>", "<sop>"), ("<｜User｜>", "<|user|>"),
            ("<｜Assistant｜>", "<|assistant|>"), ("<｜end▁of▁sentence｜>", "<|endoftext|>"),
        ])
        let template = "{{- '</think>' if (enable_thinking is defined) else '<think>' -}}"
        try Data(template.utf8).write(to: folder.appendingPathComponent("chat_template.jinja"))
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

    // MARK: Ctrl-C

    func testCtrlCStopsAnAnswerAndTheProgramGoesOn() throws {
        // A model that finds no end: its end token is another one.
        try writeModel(replacing: [
            ("<｜end▁of▁sentence｜>", "<|done|>"),
            (#""eos_token" : "<|done|>""#, #""eos_token" : "<｜▁pad▁｜>""#),
            (#""eos_token_id": 1"#, #""eos_token_id": 2"#),
        ])
        let dialogue = try Dialogue(
            CommandLine(),
            ["chat", "--model", folder.path, "--max-tokens", "15000"]
        )
        try dialogue.say("/help")
        try dialogue.hear("Ctrl-D does\n")
        // With no answer going on nothing happens. Nothing tells when that was noticed, and before the question it has to be.
        dialogue.interrupt()
        Thread.sleep(forTimeInterval: 0.5)
        try dialogue.say("/stats on")
        for question in [text + " Where is the brass key?", "Where is the brass key?"] {
            try dialogue.say(question)
            try dialogue.hear("cellar")
            dialogue.interrupt()
            try dialogue.hear("decode: ")
            let count = try XCTUnwrap(Int(dialogue.hear(" tokens").dropLast(" tokens".count)))
            XCTAssertTrue((3..<15_000).contains(count), "\(count)")
        }
        // What came of an answer is kept.
        try dialogue.say("/history")
        for line in ["user: Ada", "assistant: In the cellar", "user: Where", "assistant: "] {
            try dialogue.hear(line)
        }
        let (status, _) = try dialogue.end()
        XCTAssertEqual(status, 0)
    }

    func testCtrlCStopsTheReadingOfAQuestion() throws {
        let dialogue = try Dialogue(CommandLine(), ["chat", "--model", "demo", "--max-tokens", "8"])
        try dialogue.say("/help")
        try dialogue.hear("Ctrl-D does\n")
        try dialogue.say(String(repeating: text + " ", count: 600))
        // Before the reading begins it does nothing, so it is pressed until something happens.
        var answer = String?.none
        while answer == nil {
            dialogue.interrupt()
            answer = try dialogue.hears("\n", within: 0.2)
        }
        XCTAssertTrue(answer?.hasSuffix("stopped\n") == true, answer ?? "")
        try dialogue.say(text + " Where is the brass key?")
        try dialogue.hear("In the cellar.\n")
        try dialogue.say("/history")
        let (status, output) = try dialogue.end()
        XCTAssertEqual(status, 0)
        XCTAssertEqual(output.components(separatedBy: "user: ").count, 2, "the stopped question is forgotten")
    }
}

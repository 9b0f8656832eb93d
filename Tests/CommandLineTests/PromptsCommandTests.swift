import Foundation
import XCTest

/// `dsa generate --prompts` as a process, with the model that comes along.
final class PromptsCommandTests: XCTestCase {
    private let questions = [
        "Ada sells wool soon. The brass key is in the cellar. Where is the brass key?",
        "The red lamp is in the tower. Karl draws fish again. Where is the red lamp?",
        "Where is the blue coin? The blue coin is in the garden.",
    ].map { "<｜User｜>\($0)<｜Assistant｜></think>" }

    private func line(_ prompt: String, _ more: String = "") -> String {
        "{\"prompt\": \"\(prompt)\"\(more)}"
    }

    private func answers(_ output: String) throws -> [[String: Any]] {
        try output.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }
    }

    func testEachPromptGetsWhatItGetsAlone() throws {
        let dsa = try CommandLine()
        let alone = try questions.map { question in
            try dsa.run(["generate", "--model", "demo", "--prompt", question, "--max-tokens", "8"]).output
        }
        let input = questions.map { line($0) }.joined(separator: "\n\n")
        for limits in [["--parallel", "1"], ["--parallel", "3"], ["--cache-memory", "64KiB"]] {
            let result = try dsa.run(
                ["generate", "--model", "demo", "--prompts", "-", "--max-tokens", "8"] + limits,
                input: input
            )
            XCTAssertEqual(result.status, 0, result.output)
            let answers = try answers(result.output)
            XCTAssertEqual(answers.map { $0["prompt"] as? Int }, [0, 1, 2])
            XCTAssertEqual(answers.map { ($0["text"] as? String ?? "") + "\n" }, alone, "\(limits)")
        }
    }

    func testTokensAndLimitsOfALine() throws {
        let dsa = try CommandLine()
        let result = try dsa.run(
            ["generate", "--model", "demo", "--prompts", "-", "--ignore-end", "--stats"],
            input: "{\"tokens\": [0, 5, 9], \"maxTokens\": 2}\n" + line("A", ", \"maxTokens\": 3") + "\n"
        )
        XCTAssertEqual(result.status, 0, result.output)
        XCTAssertTrue(result.output.contains("2 prompts: "), result.output)
        let lines = result.output.split(separator: "\n").prefix(2).joined(separator: "\n")
        XCTAssertEqual(try answers(lines).map { ($0["tokens"] as? [Int])?.count }, [2, 3])
    }

    /// Guessed from what the text said before with the demo model, by its prediction layer with one that has such.
    func testGuessesLeaveTheTextAsItIs() throws {
        let dsa = try CommandLine()
        let tests = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        let fixture = tests.appendingPathComponent("ConformanceTests/Fixtures/checkpoints/tiny-v32-bf16").path
        let twice = questions[0].replacingOccurrences(
            of: "Where",
            with: "The brass key is in the cellar. Where"
        )
        for model in [
            ["--model", "demo", "--prompt", twice], ["--model", fixture, "--prompt-tokens", "5,6,7,8,9"],
        ] {
            let arguments = ["generate"] + model + ["--max-tokens", "24", "--ignore-end"]
            let plain = try dsa.run(arguments)
            XCTAssertEqual(plain.status, 0, plain.output)
            let guessed = try dsa.run(arguments + ["--draft", "3", "--stats"])
            XCTAssertEqual(guessed.status, 0, guessed.output)
            XCTAssertTrue(guessed.output.hasPrefix(plain.output), "\(plain.output)\n\(guessed.output)")
            XCTAssertTrue(guessed.output.contains("guessed: "), guessed.output)
        }
    }

    func testWhatIsNoPromptIsNamed() throws {
        let dsa = try CommandLine()
        let cases: [(input: String, arguments: [String], status: Int32, message: String)] = [
            ("{\"prompt\": \"A\"}\nnothing", [], 64, "line 2: "),
            ("{\"prompt\": 1}", [], 64, "prompt is 1, expected a string"),
            ("{\"tokens\": [1, \"2\"]}", [], 64, "expected a list of token ids"),
            ("{\"prompt\": \"A\", \"tokens\": [1]}", [], 64, "expected either prompt or tokens"),
            ("{\"prompt\": \"A\", \"max_tokens\": 1}", [], 64, "max_tokens is unknown"),
            ("[1]", [], 64, "no JSON object"),
            ("{\"tokens\": [9999]}", [], 1, "token 9999 is not in the vocabulary"),
            ("{\"prompt\": \"A\"}", ["--parallel", "0"], 1, "sequences is 0, expected 1 to 1024"),
            ("{\"prompt\": \"A\"}", ["--cache-memory", "1KiB"], 1, "1024 bytes are allowed for caches"),
            ("{\"prompt\": \"A\"}", ["--cache-memory", "much"], 64, "much is no number of bytes"),
            ("{\"prompt\": \"A\"}", ["--session", "a"], 64, "--session holds one prompt"),
        ]
        for (input, arguments, status, message) in cases {
            let result = try dsa.run(
                ["generate", "--model", "demo", "--prompts", "-"] + arguments,
                input: input
            )
            XCTAssertEqual(result.status, status, "\(input) \(arguments): \(result.output)")
            XCTAssertTrue(result.output.contains(message), "\(input) \(arguments): \(result.output)")
        }
    }
}

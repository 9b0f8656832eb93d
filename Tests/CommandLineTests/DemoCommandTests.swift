import Foundation
import XCTest

/// `dsa demo` as a process, with the model that comes along.
final class DemoCommandTests: CommandLineTestCase {
    func testTheModelFindsNeedlesAndTheFiguresAreJSON() throws {
        let result = try CommandLine().run([
            "demo", "--length", "2400", "--questions", "4", "--json", "--page", path("page.html"),
        ])
        XCTAssertEqual(result.status, 0, result.output)
        let start = try XCTUnwrap(result.output.firstIndex(of: "{"), result.output)
        let json = try JSONSerialization.jsonObject(with: Data(result.output[start...].utf8))
        let figures = try XCTUnwrap(json as? [String: Any])
        XCTAssertEqual(figures["questions"] as? Int, 4)
        XCTAssertEqual(figures["denseCorrect"] as? Int, 4, result.output)
        XCTAssertEqual(figures["sparseCorrect"] as? Int, 4, result.output)
        let kept = try XCTUnwrap(figures["attentionMassKept"] as? Double)
        XCTAssertTrue((0.9...1).contains(kept), "\(kept)")
        let page = try String(contentsOfFile: path("page.html"), encoding: .utf8)
        XCTAssertTrue(page.contains("Where is the"))
        XCTAssertTrue(page.contains("<svg"))
    }

    func testATextOfOnesOwnIsAnswered() throws {
        let text =
            "Ada goes to the mill and buys bread soon. The brass key is in the cellar. Karl draws fish again."
        try Data(text.utf8).write(to: folder.appendingPathComponent("text.txt"))
        let result = try CommandLine().run([
            "demo", "--document", path("text.txt"), "--question", "Where is the brass key?", "--page",
            path("page.html"),
        ])
        XCTAssertEqual(result.status, 0, result.output)
        XCTAssertTrue(result.output.contains("sparse  In the cellar."), result.output)
    }

    func testWhatCannotBeDoneIsRefused() throws {
        let dsa = try CommandLine()
        for (arguments, message) in [
            (["--document", path("text.txt")], "--document and --question belong together"),
            (["--length", "9K9"], "is no number of tokens"), (["--length", "10"], "at least 64"),
            (["--length", "1024K"], "expected 1 to"), (["--questions", "0"], "must be 1 to 64"),
            (["--document", path("none.txt"), "--question", "Where?"], "none.txt"),
        ] {
            let result = try dsa.run(["demo"] + arguments)
            XCTAssertNotEqual(result.status, 0, "\(arguments)")
            XCTAssertTrue(result.output.contains(message), "\(arguments): \(result.output)")
        }
    }
}

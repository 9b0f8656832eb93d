import Foundation
import XCTest

/// `dsa compare` as a process, with the model that comes along: its k is 1,024.
final class CompareCommandTests: CommandLineTestCase {
    /// Writes a text of about 20 tokens a sentence.
    private func write(sentences: Int) throws -> String {
        let text = (0..<sentences).map {
            "Ada goes to the mill and buys bread soon. The brass key is in cellar \($0). "
        }
        try Data(text.joined().utf8).write(to: folder.appendingPathComponent("text.txt"))
        return path("text.txt")
    }

    private func compare(_ arguments: [String]) throws -> CommandLine.Result {
        try CommandLine().run(["compare", "--model", "demo"] + arguments)
    }

    func testTableJSONAndPage() throws {
        let options = ["--text", try write(sentences: 80), "--length", "1200"]
        let table = try compare(options + ["--page", path("page.html")])
        XCTAssertEqual(table.status, 0, table.output)
        XCTAssertTrue(table.output.hasPrefix("1200 tokens, k = 1024\n"), table.output)
        XCTAssertTrue(
            table.output.contains("random: the exact mean over all sets of k visible tokens"),
            table.output
        )
        let page = try String(contentsOfFile: path("page.html"), encoding: .utf8)
        XCTAssertEqual(
            page.components(separatedBy: "<svg").count,
            4,
            "curves, and heat maps by head and position"
        )
        XCTAssertTrue(page.contains("<th>random</th>") && page.contains("k / visible"))
        XCTAssertFalse(page.contains("nan"))

        let json = try compare(options + ["--json"])
        XCTAssertEqual(json.status, 0, json.output)
        let report = try XCTUnwrap(
            JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any],
            json.output
        )
        XCTAssertEqual(report["length"] as? Int, 1200)
        let layers = try XCTUnwrap(report["layers"] as? [[String: Any]])
        XCTAssertEqual(layers.count, 3)
        // Every token from the 1,025th on is watched, and none is likelier in a random set than another.
        let expected = (1025...1200).reduce(0.0) { $0 + 1024 / Double($1) } / 176
        for layer in layers {
            func share(_ name: String) throws -> Double { try XCTUnwrap(layer[name] as? Double) }
            XCTAssertEqual(try share("random"), expected, accuracy: 1e-12)
            XCTAssertGreaterThanOrEqual(try share("best"), try share("selected"))
            XCTAssertTrue((0...1.0001).contains(try share("selected")))
            XCTAssertEqual((layer["heads"] as? [Double])?.count, 8)
        }
    }

    func testAShortTextLeavesNothingToChoose() throws {
        let result = try compare(["--text", try write(sentences: 2), "--page", path("page.html")])
        XCTAssertEqual(result.status, 0, result.output)
        XCTAssertTrue(result.output.contains("same most likely token       100.0 %"), result.output)
        XCTAssertTrue(result.output.contains("nothing to choose"), result.output)
        let page = try String(contentsOfFile: path("page.html"), encoding: .utf8)
        XCTAssertFalse(page.contains("<table>"))
    }

    func testWhatCannotBeComparedIsRefused() throws {
        try Data([0xFF, 0xFE]).write(to: folder.appendingPathComponent("bytes"))
        try Data("A".utf8).write(to: folder.appendingPathComponent("letter"))
        for (arguments, message) in [
            (["--text", path("none.txt")], "none.txt"), (["--text", path("bytes")], "is not UTF-8 text"),
            (["--length", "10"], "at least 64"), (["--length", "1024K"], "expected 1 to"),
            (["--text", path("letter"), "--length", "1"], "no tokens"),
        ] {
            let result = try compare(arguments)
            XCTAssertNotEqual(result.status, 0, "\(arguments)")
            XCTAssertTrue(result.output.contains(message), "\(arguments): \(result.output)")
        }
    }
}

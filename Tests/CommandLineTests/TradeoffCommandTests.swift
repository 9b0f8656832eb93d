import Foundation
import TestSupport
import XCTest

/// `dsa tradeoff` as a process, with a tiny model.
final class TradeoffCommandTests: CommandLineTestCase {
    private static let recipe = """
        {"seed": 3, "initialDeviation": 0.1, "stages": [
         {"name": "dense", "kind": "densePretraining", "steps": 1, "sequences": 4, "length": 64, "questions": 2,
          "mixture": {"copy": 1}, "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}},
         {"name": "policy", "kind": "policyOptimization", "steps": 2, "sequences": 2, "length": 64, "questions": 1,
          "mixture": {"arithmetic": 1},
          "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"},
          "policy": {"answers": 3, "answerTokens": 4, "advantage": "meanOnly", "clip": 0.2, "divergenceWeight": 0,
                     "divergence": "plain"}}]}
        """

    func testEachWeightHasARunAndALine() throws {
        try TinyRun.write(to: folder)
        try Data(Self.recipe.utf8).write(to: folder.appendingPathComponent("recipe.json"))
        let dsa = try CommandLine()
        let arguments = [
            "tradeoff", path("recipe.json"), "--out", path("out"), "--weights", "0, 0.5", "--questions", "3",
        ]
        let result = try dsa.run(arguments + ["--part", "length"])
        XCTAssertEqual(result.status, 0, result.output)
        let lines = result.output.split(separator: "\n").suffix(4)
        XCTAssertEqual(
            lines.map { $0.prefix { $0 != " " } },
            ["length", "before", "0.0", "0.5"],
            result.output
        )
        XCTAssertEqual(Set(lines.map(\.count)).count, 1, "the columns line up")
        for file in ["before/dense/config.json", "length-0.0/policy", "length-0.5/policy", "curves.svg"] {
            XCTAssertTrue(FileManager.default.fileExists(atPath: path("out/\(file)")), file)
        }
        let held = try String(
            contentsOf: folder.appendingPathComponent("out/length-0.5/recipe.json"),
            encoding: .utf8
        )
        XCTAssertTrue(held.contains("\"length\" : 0.5"), held)
        for (part, weights, status) in [("width", "1", 64), ("length", "x", 64), ("length", "-1", 1)] {
            let refused = try dsa.run([
                "tradeoff", path("recipe.json"), "--out", path("none"), "--part", part,
                "--weights=\(weights)",
            ])
            XCTAssertEqual(refused.status, Int32(status), refused.output)
        }
    }
}

import Foundation
import TestSupport
import XCTest

/// `dsa posttrain` as a process, with a tiny model that `dsa train` made.
final class PosttrainCommandTests: CommandLineTestCase {
    override func setUpWithError() throws {
        try super.setUpWithError()
        try TinyRun.write(to: folder)
    }

    private static let rate = """
        "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}
        """

    private static func policy(_ tasks: String) -> String {
        """
        {"name": "policy", "kind": "policyOptimization", "steps": 1, "sequences": 2, "length": 64, "questions": 1,
         "mixture": {\(tasks)}, \(rate),
         "policy": {"answers": 2, "answerTokens": 3, "advantage": "meanOnly", "clip": 0.2, "divergenceWeight": 0.1,
                    "divergence": "ratioWeighted"}}
        """
    }

    private static let recipe = """
        {"seed": 1,
         "specialists": [{"name": "sums", "stages": [\(policy("\"arithmetic\": 1"))]},
                         {"name": "programs", "stages": [\(policy("\"programs\": 1"))]}],
         "distilled": [{"name": "taught", "kind": "distillation", "steps": 1, "sequences": 2, "length": 64, "questions": 1,
                        "mixture": {"arithmetic": 1, "programs": 1}, \(rate),
                        "distillation": {"teachers": {"arithmetic": "sums", "programs": "programs"}, "answerTokens": 3}}],
         "mixed": [\(policy("\"arithmetic\": 1, \"programs\": 1"))]}
        """

    func testAllPartsAndWhatTheyCanDo() throws {
        let dsa = try CommandLine()
        let trained = try dsa.run(["train", path("recipe.json"), "--out", path("run")])
        XCTAssertEqual(trained.status, 0, trained.output)
        try Data(Self.recipe.utf8).write(to: folder.appendingPathComponent("posttraining.json"))
        let arguments = [
            "posttrain", path("posttraining.json"), "--from", path("run/sparse"), "--out", path("post"),
        ]
        let stopped = try dsa.run(arguments + ["--steps", "2"])
        XCTAssertEqual(stopped.status, 0, stopped.output)
        XCTAssertTrue(stopped.output.contains("stopped after 2 steps"), stopped.output)
        let result = try dsa.run(arguments + ["--questions", "3"])
        XCTAssertEqual(result.status, 0, result.output)
        let lines = result.output.split(separator: "\n").suffix(6)
        XCTAssertEqual(
            lines.map { $0.prefix { $0 != " " } },
            ["outcome", "base", "sums", "programs", "distilled", "mixed"],
            result.output
        )
        XCTAssertEqual(Set(lines.map(\.count)).count, 1, "the columns line up")
        let again = try dsa.run(arguments + ["--questions", "3", "--json"])
        let rows = try JSONSerialization.jsonObject(with: Data(again.output.utf8)) as? [[String: Any]]
        XCTAssertEqual(rows?.count, 5, again.output)
        let otherBase = try dsa.run([
            "posttrain", path("posttraining.json"), "--from", path("run/dense"), "--out", path("post"),
        ])
        XCTAssertEqual(otherBase.status, 1)
        XCTAssertTrue(otherBase.output.contains("start in the folder is another one"), otherBase.output)
        for option in ["--questions", "--seeds"] {
            XCTAssertEqual(try dsa.run(arguments + [option, "0"]).status, 64)
        }
        let both = try dsa.run(arguments + ["--questions", "3", "--control"])
        XCTAssertTrue(both.output.contains("\nmixed, dense "), both.output)
        for file in ["curves.svg", "sparse-1/mixed/curves.svg", "dense-1/sums/curves.svg"] {
            XCTAssertTrue(FileManager.default.fileExists(atPath: path("post/\(file)")), file)
        }
    }
}

import Foundation
import XCTest

/// `dsa cost` as a process.
final class CostCommandTests: XCTestCase {
    func testFiguresCrossingsAndPicture() throws {
        let dsa = try CommandLine()
        let svg = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString + ".svg")
        defer { try? FileManager.default.removeItem(at: svg) }
        let table = try dsa.run(["cost", "demo", "--positions", "1K,16K", "--svg", svg.path])
        XCTAssertEqual(table.status, 0, table.output)
        XCTAssertTrue(table.output.contains("sparse decode is cheaper"), table.output)
        XCTAssertTrue(try String(contentsOf: svg, encoding: .utf8).contains("</svg>"))
        let json = try dsa.run([
            "cost", "demo", "--positions", "4K", "--peak", "400", "--memory", "30", "--json",
        ])
        let report = try JSONSerialization.jsonObject(with: Data(json.output.utf8)) as? [String: Any]
        XCTAssertEqual((report?["rows"] as? [Any])?.count, 4, json.output)
        for (arguments, message) in [
            (["--peak", "400"], "belong together"), (["--top-k", "0"], "at least 1"),
            (["--price=-1"], "positive"),
        ] {
            let result = try dsa.run(["cost", "demo"] + arguments)
            XCTAssertNotEqual(result.status, 0)
            XCTAssertTrue(result.output.contains(message), result.output)
        }
    }
}

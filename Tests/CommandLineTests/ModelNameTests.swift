import Foundation
import XCTest

/// A model by the name it has in the cache of Hugging Face's tools, through a real process.
final class ModelNameTests: XCTestCase {
    func testANameInTheCacheIsFoundAndAnotherIsRefused() throws {
        let dsa = try CommandLine()
        let home = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        defer { try? FileManager.default.removeItem(at: home) }
        let model = home.appendingPathComponent("hub/models--org--name")
        for folder in ["snapshots", "refs"] {
            let url = model.appendingPathComponent(folder)
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        }
        try Data("abc\n".utf8).write(to: model.appendingPathComponent("refs/main"))
        // As those tools keep it: a snapshot is a folder of links.
        try FileManager.default.createSymbolicLink(
            at: model.appendingPathComponent("snapshots/abc"),
            withDestinationURL: dsa.demoModel
        )
        let arguments = ["generate", "--prompt", "Ada", "--max-tokens", "2", "--model"]
        let environment = ["HF_HOME": home.path, "HF_HUB_CACHE": ""]
        let named = try dsa.run(arguments + ["org/name"], environment: environment)
        XCTAssertEqual(named.status, 0, named.output)
        XCTAssertEqual(named.output, try dsa.run(arguments + ["demo"]).output)
        let other = try dsa.run(arguments + ["org/other"], environment: environment)
        XCTAssertEqual(other.status, 1)
        XCTAssertTrue(other.output.contains("org/other is not there"), other.output)
    }
}

import Foundation
import TestSupport
import XCTest

/// Holds the Swift code of README and DocC catalogs to these tests.
///
/// What stands between `// Shown in FILE` and `// Shown: end` is compiled and run here, and FILE shows exactly that.
final class ShownExamplesTests: XCTestCase {
    func testEverySwiftBlockIsTested() throws {
        var tested: [String: [String]] = [:]
        for file in try Self.files(in: "Tests/ExampleTests", ending: ".swift") where file != Self.thisFile {
            for (shown, example) in try Self.examples(in: file) { tested[shown, default: []].append(example) }
        }
        let documents =
            try [Markdown.packageFolder.appendingPathComponent("README.md")]
            + Self.files(in: "Sources", ending: ".md") + Self.files(in: "Benchmarks", ending: ".md")
        var shown: [String: [String]] = [:]
        for document in documents {
            // A line of another package's manifest is no program.
            let blocks = try Markdown(contentsOf: document).blocks("swift")
                .filter { !$0.hasPrefix(".package(") }
            let name = document.path.dropFirst(Markdown.packageFolder.path.count + 1)
            if !blocks.isEmpty { shown[String(name)] = blocks }
        }
        XCTAssertEqual(Set(tested.keys), Set(shown.keys))
        for (document, blocks) in shown {
            XCTAssertEqual(blocks.sorted(), tested[document]?.sorted(), document)
        }
        XCTAssertGreaterThanOrEqual(shown.values.joined().count, 8)
    }

    private static let thisFile = URL(fileURLWithPath: #filePath)

    private static func files(in folder: String, ending: String) throws -> [URL] {
        let url = Markdown.packageFolder.appendingPathComponent(folder)
        return try FileManager.default.subpathsOfDirectory(atPath: url.path).filter { $0.hasSuffix(ending) }
            .map { url.appendingPathComponent($0) }
    }

    /// The examples of a test file, with the documents that show them; indented as their markers are.
    private static func examples(in file: URL) throws -> [(document: String, text: String)] {
        let source = try String(contentsOf: file, encoding: .utf8)
        let parts = source.components(separatedBy: "// Shown in ")
        return zip(parts, parts.dropFirst()).map { before, part in
            let indentation = before.reversed().prefix { $0 == " " }.count
            let lines = part.components(separatedBy: "\n")
            let example = lines.dropFirst().prefix { $0.dropFirst(indentation) != "// Shown: end" }
            return (lines[0], example.map { String($0.dropFirst(indentation)) }.joined(separator: "\n"))
        }
    }
}

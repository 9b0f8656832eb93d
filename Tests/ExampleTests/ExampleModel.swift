import Foundation
import TestSupport

/// The models the examples run on.
enum ExampleModel {
    /// Random weights, two layers, k = 16.
    static let tiny = Markdown.packageFolder
        .appendingPathComponent("Tests/ConformanceTests/Fixtures/checkpoints/tiny-v32-f32")
    /// The one that comes with `dsa demo`.
    static let demonstration = Markdown.packageFolder.appendingPathComponent("Sources/dsa/Model")

    /// Makes a folder for the time of a test.
    static func withTemporaryFolder<Result>(_ body: (URL) throws -> Result) throws -> Result {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        return try body(folder)
    }
}

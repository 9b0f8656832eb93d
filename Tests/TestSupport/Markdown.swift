package import Foundation

/// The text of a Markdown file of this package, as far as tests hold it to something.
package struct Markdown {
    private let text: String

    /// Reads a file.
    ///
    /// - Parameter url: where it lies.
    /// - Throws: when it is not there, or no UTF-8.
    package init(contentsOf url: URL) throws {
        text = try String(contentsOf: url, encoding: .utf8)
    }

    /// The code blocks in a language, without their fences.
    ///
    /// - Parameter language: as it stands behind the fence.
    /// - Returns: the blocks, in order.
    package func blocks(_ language: String) -> [String] {
        text.components(separatedBy: "\n```\(language)\n").dropFirst().map { rest in
            rest.components(separatedBy: "\n```").first ?? ""
        }
    }

    /// The folder of the package.
    package static let packageFolder = URL(fileURLWithPath: #filePath)
        .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
}

import ArgumentParser
import Foundation
import SparseInference

/// What the command line shows besides its results.
enum Terminal {
    /// Writes text to standard output at once.
    static func write(_ text: String) {
        FileHandle.standardOutput.write(Data(text.utf8))
    }

    /// Writes a line to standard error.
    static func note(_ line: String) {
        FileHandle.standardError.write(Data((line + "\n").utf8))
    }

    /// Replaces the progress line; silent unless standard error is a terminal.
    static func progress(_ line: String) {
        guard isInteractive else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(line)".utf8))
    }

    /// Removes the progress line.
    static func clearProgress() {
        progress("")
    }

    /// Whether standard error is a terminal.
    static let isInteractive = isatty(STDERR_FILENO) == 1

    /// A number of bytes with a unit.
    static func bytes(_ count: Int) -> String {
        let units = ["B", "KiB", "MiB", "GiB", "TiB"]
        var (value, unit) = (Double(count), 0)
        while value >= 1024, unit + 1 < units.count {
            value /= 1024
            unit += 1
        }
        return unit == 0 ? "\(count) B" : String(format: "%.1f ", value) + units[unit]
    }
}

// MARK: - Reports

extension Terminal {
    /// A report as a JSON document, keys in order.
    static func json(_ report: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        return String(decoding: try encoder.encode(report), as: UTF8.self)
    }

    /// Speed of a generation, on a line.
    static func speed(_ statistics: GenerationStatistics) -> String {
        String(
            format: "prefill: %d tokens, %.1f tokens/s · decode: %d tokens, %.1f tokens/s",
            statistics.promptTokens,
            statistics.prefillRate,
            statistics.generatedTokens,
            statistics.decodeRate
        )
    }

    /// The text of a file.
    static func text(of path: String) throws -> String {
        let data =
            try path == "-"
            ? FileHandle.standardInput.readToEnd() ?? Data()
            : Data(contentsOf: URL(fileURLWithPath: path))
        guard let text = String(validating: data, as: UTF8.self) else {
            throw ValidationError("\(path) is not UTF-8 text.")
        }
        return text
    }
}

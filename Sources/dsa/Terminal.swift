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

// MARK: - Progress

/// How far work has come, with its rate and the time that is left; silent unless standard error is a terminal.
struct WorkProgress: Sendable {
    private let name: String
    private let unit: String
    private let total: Int
    private let start = ContinuousClock.now

    /// Work that begins now.
    ///
    /// - Parameters:
    ///   - name: what is done.
    ///   - total: how many units of it.
    ///   - unit: what they are.
    init(_ name: String, of total: Int, _ unit: String = "tokens") {
        self.name = name
        self.total = total
        self.unit = unit
    }

    /// Shows how many are done.
    func show(_ done: Int) {
        Terminal.progress(line(done, seconds: (ContinuousClock.now - start) / .seconds(1)))
    }

    /// The line, such as `reading: 512 of 2048 tokens · 9000 tokens/s · 0.2 s left`.
    func line(_ done: Int, seconds: Double) -> String {
        let rate = seconds > 0 ? Double(done) / seconds : 0
        let left =
            rate > 0
            ? String(format: " · %.0f \(unit)/s · %.1f s left", rate, Double(total - done) / rate) : ""
        return "\(name): \(done) of \(total) \(unit)\(left)"
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

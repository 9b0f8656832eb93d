import ArgumentParser
import Foundation
import SparseAttention
import SparseInference

/// Times stored sessions against reading the document again.
struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session",
        abstract: "Times loading a stored session against reading its document.",
        discussion: """
            A document is read, the session written and loaded again, its digest checked; then a question is asked of \
            both and the logits of the answers are compared bit by bit. The file has just been written, so it lies in \
            the system's memory. Exit status 1 when answers differ or loading takes more than the share allowed.

              dsa-bench session Sources/dsa/Model --positions 16K
            """
    )

    @Argument(help: "The checkpoint's folder.")
    var folder: String

    @Option(help: "float32, bfloat16, deployed-bfloat16 and so on, as for dsa-bench model.")
    var precision = "float32"

    @OptionGroup var options: ModelRunOptions

    @Option(help: "Lengths of the document, such as 1K,16K.", transform: Positions.init(argument:))
    var positions = Positions.session

    @Option(help: "How often each session is written and loaded.")
    var repetitions = 5

    @Option(help: "The most that loading may take, in percent of reading.")
    var limit = 2.0

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard repetitions >= 1 else { throw ValidationError("--repetitions must be at least 1.") }
        guard LanguageModel.Precision(name: precision) != nil else {
            throw ValidationError("--precision '\(precision)' is none of those listed.")
        }
    }

    func run() throws {
        let rows = try reportingFailure { try measure() }
        try common.finish(rows)
        guard rows.allSatisfy(isWithin) else { throw ExitCode.failure }
    }

    private func measure() throws -> [SessionSuite.Row] {
        guard let precision = LanguageModel.Precision(name: precision) else {
            throw Failure(description: "no precision \(precision)")
        }
        let progress = Progress()
        let workers = try common.workers
        let model = try LanguageModel(
            contentsOf: URL(fileURLWithPath: folder, isDirectory: true),
            precision: precision,
            workers: workers
        )
        let suite = SessionSuite(
            model: model,
            attention: options.attention,
            cacheFormat: options.cache,
            repetitions: repetitions
        )
        print(Machine(threads: workers.count).summary)
        print(
            "\n\(model.precision), \(options.attention.rawValue) attention; loading may take \(limit) % of reading\n"
        )
        print(" document   prefill s   write ms   load ms   share   file MiB   answers")
        let temporary = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: temporary) }
        return try positions.values.map { length in
            let row = try suite.row(length: length, seed: common.seed, in: temporary) { done in
                progress.show("read \(done) of \(length) tokens")
            }
            progress.show("")
            print(line(row))
            return row
        }
    }

    private func isWithin(_ row: SessionSuite.Row) -> Bool {
        row.answersAlike && 100 * row.share <= limit
    }

    private func line(_ row: SessionSuite.Row) -> String {
        let cells = [
            (positionLabel(row.position), 9), (String(format: "%.2f", row.prefillSeconds), 11),
            (String(format: "%.1f", row.writeMilliseconds), 10),
            (String(format: "%.1f", row.loadMilliseconds), 9),
            (String(format: "%.2f %%", 100 * row.share), 7),
            (String(format: "%.1f", Double(row.fileBytes) / 1_048_576), 10),
            (row.answersAlike ? "alike" : "DIFFER", 9),
        ]
        let line = cells.map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }
            .joined(separator: " ")
        return isWithin(row) ? line : line + "  OVER THE LIMIT"
    }
}

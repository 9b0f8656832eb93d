import ArgumentParser
import Conformance
import Foundation
import SparseInference

/// `dsa diff`: finds the first stage at which two engines part.
struct DiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Find the first stage at which two dumps of a forward pass part.",
        discussion: """
            Compares in the order of computation. Numbers may differ by --bound times the largest of a tensor; \
            selections and experts have to be equal as sets. Exit status 1 when a stage diverges.

            With --model, the checkpoint both engines ran, every known mistake is made on purpose to see which one \
            gives their numbers.
            """
    )

    @Argument(help: "A dump of this engine.")
    var ours: String

    @Argument(help: "A dump of the other engine.")
    var theirs: String

    @Option(help: "The largest difference that counts as noise, as a share of a tensor's largest element.")
    var bound = StageDiff.bound

    @Option(help: ArgumentHelp("Look for a known mistake that explains theirs.", valueName: "folder"))
    var model: String?

    @Flag(help: "Print a JSON document instead of the table.")
    var json = false

    func run() throws {
        let left = try SafetensorsFile(contentsOf: URL(fileURLWithPath: ours))
        let right = try SafetensorsFile(contentsOf: URL(fileURLWithPath: theirs))
        let diff = try StageDiff(left, right, bound: bound)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "inf",
                negativeInfinity: "-inf",
                nan: "nan"
            )
            Terminal.write(String(decoding: try encoder.encode(diff), as: UTF8.self) + "\n")
        } else {
            Terminal.write(diff.table)
        }
        guard !diff.rows.isEmpty else { throw ValidationError("The files have no stage in common.") }
        guard diff.first != nil else { return }
        if let model, !json {
            let precision =
                left.metadata["precision"].flatMap(LanguageModel.Precision.init(name:)) ?? .float32
            let folder = URL(fileURLWithPath: model, isDirectory: true)
            let found = try MistakeSearch.explanations(
                of: right,
                model: folder,
                precision: precision,
                bound: bound,
                progress: { Terminal.progress("trying \($0.rawValue)") }
            )
            Terminal.clearProgress()
            Terminal.write(
                found.isEmpty
                    ? "no known mistake gives their numbers\n"
                    : found.map { "their numbers are those of \($0.rawValue): \($0.source)\n" }.joined()
            )
        }
        throw ExitCode.failure
    }
}

extension StageDiff {
    /// The comparison for people.
    fileprivate var table: String {
        let width = rows.map(\.name.count).max() ?? 0
        var lines = rows.map { row in
            row.name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                + (row.diverges ? "DIFFERS  " : "ok       ")
                + String(format: "largest %.3g  relative %.3g", row.largest, row.relative)
                + (row.cosine.map { String(format: "  cosine %.6f", $0) } ?? "")
                + (row.note.isEmpty ? "" : "  " + row.note)
        }
        if !skipped.isEmpty { lines.append("in one file only: " + skipped.joined(separator: ", ")) }
        lines.append(first.map { "first to diverge: \($0.name)" } ?? "no stage diverges")
        if let hint = first?.hint { lines.append("likely cause: \(hint)") }
        return lines.joined(separator: "\n") + "\n"
    }
}

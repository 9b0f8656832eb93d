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
            Compares in the order of computation. What counts as noise follows from the numerics the files name: in \
            float32 numbers may differ by 1e-4 of the largest of their tensor, in rounded numerics one row in fifty may \
            point elsewhere. Selections have to be equal as sets, but for tied scores.

            When anything differs, every known mistake is made on purpose to see which one gives the other numbers; \
            that needs the checkpoint both engines ran, which the first file remembers. Exit status 1 when a stage \
            diverges or a mistake is found.

              dsa diff ours.safetensors theirs.safetensors
            """
    )

    @Argument(help: "A dump of this engine.")
    var ours: String

    @Argument(help: "A dump of the other engine.")
    var theirs: String

    @Option(help: "The largest difference that counts as noise, as a share of a tensor's largest element.")
    var bound: Double?

    @Option(
        help: ArgumentHelp("The checkpoint both engines ran, if it has moved.", valueName: "folder")
    )
    var model: String?

    @Flag(help: "Do not look for a known mistake.")
    var compareOnly = false

    @Flag(help: "Print a JSON document instead of the table.")
    var json = false

    func run() throws {
        let left = try SafetensorsFile(contentsOf: URL(fileURLWithPath: ours))
        let right = try SafetensorsFile(contentsOf: URL(fileURLWithPath: theirs))
        let diff = try StageDiff(left, right, bound: bound)
        guard !diff.rows.isEmpty else { throw ValidationError("The files have no stage in common.") }
        let verdict = diff.firstDifference == nil || compareOnly ? Verdict() : try search(left, right)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
            encoder.nonConformingFloatEncodingStrategy = .convertToString(
                positiveInfinity: "inf",
                negativeInfinity: "-inf",
                nan: "nan"
            )
            let document = try encoder.encode(Document(stages: diff, mistakes: verdict.found.map(Found.init)))
            Terminal.write(String(decoding: document, as: UTF8.self) + "\n")
        } else {
            Terminal.write(diff.table + verdict.lines.map { $0 + "\n" }.joined())
        }
        if diff.first != nil || !verdict.found.isEmpty { throw ExitCode.failure }
    }

    /// What the search for a mistake came to.
    private struct Verdict {
        var found: [MistakeSearch.Explanation] = []
        var lines: [String] = []
    }

    private func search(_ left: SafetensorsFile, _ right: SafetensorsFile) throws -> Verdict {
        guard let path = model ?? StageDump.Run(left.metadata).checkpoint,
            FileManager.default.fileExists(atPath: path)
        else {
            return Verdict(lines: ["to look for a known mistake, name the checkpoint with --model"])
        }
        let folder = URL(fileURLWithPath: path, isDirectory: true)
        do {
            let found = try MistakeSearch(left, model: folder).explanations(
                of: left,
                right,
                progress: { Terminal.progress("trying \($0.rawValue)") }
            )
            Terminal.clearProgress()
            return Verdict(
                found: found,
                lines: found.isEmpty
                    ? ["no known mistake gives these numbers"]
                    : found.map { found in
                        "\(found.side.rawValue) has the numbers of \(found.mistake.rawValue), which explains "
                            + String(format: "%.0f %% of the difference: ", found.share * 100)
                            + found.mistake.source
                    }
            )
        } catch MistakeSearch.Fault.otherCheckpoint {
            Terminal.clearProgress()
            return Verdict(
                lines: ["\(path) gives the numbers of neither file: no mistake can be looked for with it"]
            )
        }
    }

    private struct Document: Encodable {
        let stages: StageDiff
        let mistakes: [Found]
    }

    private struct Found: Encodable {
        let mistake: String
        let side: String
        let share: Double

        init(_ explanation: MistakeSearch.Explanation) {
            mistake = explanation.mistake.rawValue
            side = explanation.side.rawValue
            share = explanation.share
        }
    }
}

extension StageDiff {
    /// The comparison for people.
    fileprivate var table: String {
        let unequal = rows.filter { $0.misfit > 0 || $0.diverges }
        let width = unequal.map(\.name.count).max() ?? 0
        var lines = unequal.map { row in
            row.name.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                + (row.diverges ? "DIFFERS  " : "noise    ")
                + String(format: "error %.2g of %.2g", row.error, row.bound)
                + (row.largest.map { String(format: "  largest %.3g", $0) } ?? "")
                + (row.cosine.map { String(format: "  cosine %.6f", $0) } ?? "")
                + (row.note.isEmpty ? "" : "  " + row.note)
        }
        lines.append("\(rows.count - unequal.count) of \(rows.count) stages are equal in every bit")
        if !skipped.isEmpty { lines.append("in one file only: " + skipped.joined(separator: ", ")) }
        lines.append(
            first.map { "first to diverge: \($0.name)" }
                ?? firstDifference.map { "no stage diverges; the first to differ at all: \($0.name)" }
                ?? "no stage differs"
        )
        if let hint = (first ?? firstDifference)?.hint { lines.append("by the numbers: \(hint)") }
        return lines.joined(separator: "\n") + "\n"
    }
}

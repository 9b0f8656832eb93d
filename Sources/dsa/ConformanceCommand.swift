import ArgumentParser
import Conformance
import Foundation
import SparseInference

/// `dsa conformance`: compares this implementation with golden data.
struct ConformanceCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "conformance",
        abstract: "Compare this implementation with a folder of golden data.",
        discussion: """
            Runs every case the folder holds: number formats bit for bit, operators against float64 results, tokenizers, \
            files that lie, and whole checkpoints against Hugging Face, prefilled whole and in chunks, in both forms of \
            latent attention. Where golden data of single layers exist, the first stage that diverges is named.

            Error and bound: 'exact' counts differing elements; otherwise the largest |a - b| / (1 + |b|), for logits \
            the largest |a - b|. Exit status 1 when a case fails, or when none ran.

              dsa conformance Tests/ConformanceTests/Fixtures
              dsa conformance Tests/ConformanceTests/Fixtures --filter checkpoints --mistake list
            """
    )

    @Argument(help: "The folder, in the form of the project's conformance data.")
    var folder: String

    @Option(help: "Run only cases whose name contains this text.")
    var filter: String?

    @Option(help: "Make a known mistake of other engines on purpose, in whole models; 'list' names them.")
    var mistake: String?

    @Flag(help: "Print a JSON document instead of the table.")
    var json = false

    func run() throws {
        if mistake == "list" { return Terminal.write(Mistake.list) }
        let known = try mistake.map(Mistake.init(named:))
        let all = try ConformanceFolder(URL(fileURLWithPath: folder, isDirectory: true), mistake: known)
            .cases()
        let cases = all.filter { item in filter.map { item.name.contains($0) } ?? true }
        guard !cases.isEmpty else {
            throw ValidationError(
                all.isEmpty
                    ? "\(folder) holds no conformance data." : "No case's name contains '\(filter ?? "")'."
            )
        }
        let width = cases.map(\.name.count).max() ?? 0
        var report = ConformanceReport()
        if !json { Terminal.write(ConformanceReport.header(nameWidth: width) + "\n") }
        for (index, item) in cases.enumerated() {
            Terminal.progress("\(index + 1) of \(cases.count): \(item.name)")
            let row = report.run(item)
            Terminal.clearProgress()
            if !json { Terminal.write(row.line(nameWidth: width) + "\n") }
        }
        Terminal.write(
            json ? String(decoding: try report.json(), as: UTF8.self) + "\n" : report.summary + "\n"
        )
        guard report.count("failed") == 0, report.count("passed") > 0 else { throw ExitCode.failure }
    }
}

extension Mistake {
    /// The mistake of a name given on the command line.
    init(named name: String) throws {
        guard let mistake = Mistake(rawValue: name) else {
            throw ValidationError("'\(name)' is no known mistake; --mistake list names them.")
        }
        self = mistake
    }

    /// All known mistakes, one a line, each with its source.
    static var list: String {
        let width = allCases.map(\.rawValue.count).max() ?? 0
        return allCases.map { mistake in
            mistake.rawValue.padding(toLength: width + 2, withPad: " ", startingAt: 0)
                + (mistake.hidesUpToTopK ? "hides up to top-k   " : "shows at any length ")
                + mistake.source + "\n"
        }.joined()
    }
}

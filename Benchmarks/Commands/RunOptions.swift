import ArgumentParser
import Foundation
import SparseAttention

/// The options of every suite.
struct RunOptions: ParsableArguments {
    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(
        help: "Lengths of the sequence, such as 1K,32K,131072.",
        transform: Positions.init(argument:)
    )
    var positions: Positions?

    @Flag(help: "A few short positions and few repetitions: seconds instead of a minute.")
    var quick = false

    @Option(help: "The seed of all inputs.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Write the results as JSON.", valueName: "file"))
    var json: String?

    @Option(
        help: ArgumentHelp(
            "Compare with the JSON of an earlier run; exit status 1 when slower.",
            valueName: "file"
        )
    )
    var baseline: String?

    @Option(help: "How much slower than the baseline counts as slower, in percent.")
    var margin = 15.0

    mutating func validate() throws {
        guard (1...1024).contains(threads ?? 1) else { throw ValidationError("--threads must be 1 to 1024.") }
        guard margin >= 0 else { throw ValidationError("--margin must not be negative.") }
    }

    /// The threads asked for.
    var workers: Workers {
        get throws { try threads.map { try Workers(count: $0) } ?? .all }
    }

    /// Writes the report and compares it, as asked.
    func finish(_ report: Report) throws {
        if let json { try write(report.json(), to: json) }
        guard let baseline else { return }
        let comparison = try Baseline(contentsOf: baseline).compare(report, margin: margin / 100)
        print(comparison.table)
        if comparison.isSlower { throw ExitCode.failure }
    }
}

import ArgumentParser
import Foundation
import SparseAttention

/// The options of suites whose report can be compared with an earlier one.
struct RunOptions: ParsableArguments {
    @OptionGroup var common: CommonOptions

    @Option(
        help: "Lengths of the sequence, such as 1K,32K,131072.",
        transform: Positions.init(argument:)
    )
    var positions: Positions?

    @Flag(help: "A few short positions and few repetitions: seconds instead of a minute.")
    var quick = false

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
        guard margin >= 0 else { throw ValidationError("--margin must not be negative.") }
    }

    /// Writes the report and compares it, as asked.
    func finish(_ report: Report) throws {
        if let json = common.json { try write(report.json(), to: json) }
        guard let baseline else { return }
        let comparison = try Baseline(contentsOf: baseline).compare(report, margin: margin / 100)
        print(comparison.table)
        if comparison.isSlower { throw ExitCode.failure }
    }
}

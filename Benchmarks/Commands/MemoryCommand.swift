import ArgumentParser
import Foundation
import SparseAttention

/// Measures the working memory of a prefill chunk.
struct MemoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "memory",
        abstract:
            "Measures the working memory of sparse prefill, which must not grow with the square of length.",
        discussion: """
            One chunk of a DeepSeek-V3.2 layer runs at each position: index scores, selection, attention. Its working \
            memory is the most the process held while it ran, beyond what it held before and beyond the result; \
            what the allocator kept from the chunk before is not new and does not count, so the first row of a \
            precision says most. Exit status 1 when it is over the budget.
            """
    )

    @Option(help: "Lengths of the sequence, such as 1K,32K,131072.", transform: Positions.init(argument:))
    var positions = Positions.memory

    @Option(help: "Tokens in the chunk.")
    var chunk = 256

    @Option(help: "The arithmetic of the layer: float32 or bfloat16; both when not given.")
    var precision: ProductArithmetic?

    @Option(help: "The most working memory allowed, in MiB.")
    var budget = 256

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard chunk >= 1 else { throw ValidationError("--chunk must be at least 1.") }
    }

    func run() throws {
        let rows = try reportingFailure { try measure() }
        try common.finish(rows)
        guard rows.allSatisfy({ $0.scratchBytes <= budget << 20 }) else { throw ExitCode.failure }
    }

    private func measure() throws -> [MemorySuite.Row] {
        let workers = try common.workers
        let shape = try LayerShape.deepSeekV32()
        let noise = Noise(seed: common.seed, workers: workers)
        print(Machine(threads: workers.count).summary)
        print("\nsparse prefill, chunk of \(chunk), MiB; budget \(budget) MiB of working memory\n")
        print("  precision   position   caches   result   working memory   scores of all heads, not kept")
        var rows: [MemorySuite.Row] = []
        for precision in precision.map({ [$0] }) ?? ProductArithmetic.allCases {
            let layer = try LayerPair(
                shape: shape,
                precision: precision,
                capacity: positions.values.last ?? 0,
                noise: noise
            )
            let suite = MemorySuite(layer: layer, workers: workers, chunk: chunk)
            for position in positions.values {
                guard let row = try suite.row(at: position) else {
                    throw Failure(description: "this system does not tell what memory a part of a run took")
                }
                print(line(row))
                rows.append(row)
            }
        }
        return rows
    }

    private func line(_ row: MemorySuite.Row) -> String {
        let cells = [
            (row.precision, 11), (positionLabel(row.position), 10), (mebibytes(row.cacheBytes), 8),
            (mebibytes(row.resultBytes), 8), (mebibytes(row.scratchBytes), 16),
            (mebibytes(row.scoreBytes), 15),
        ]
        let line = cells.map { String(repeating: " ", count: max(0, $1 - $0.count)) + $0 }.joined(
            separator: " "
        )
        return row.scratchBytes <= budget << 20 ? line : line + "  OVER BUDGET"
    }

    private func mebibytes(_ bytes: Int) -> String { String(format: "%.0f", Double(bytes) / 1_048_576) }
}

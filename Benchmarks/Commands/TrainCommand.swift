import ArgumentParser
import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// Times training steps by length.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Times training steps of a model, dense against sparse, by length.",
        discussion: """
            A step goes forward and back through the whole model with one sequence of random tokens and random \
            parameters. The sparse step trains the indexer too. With --sequences, a step of several sequences is run \
            as one and sequence by sequence.
            """
    )

    @Argument(help: ArgumentHelp("The model's config.json.", valueName: "config.json"))
    var config: String

    @Option(help: "Lengths of the sequence, such as 2K,8K.", transform: Positions.init(argument:))
    var positions = Positions.train

    @Option(help: "The tokens the indexer selects; the model's when not given.")
    var topK: Int?

    @Option(help: "How often each step runs.")
    var repetitions = 3

    @Option(help: "Sequences of a step that is run as one, too.")
    var sequences = 1

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard repetitions >= 1 else { throw ValidationError("--repetitions must be at least 1.") }
        guard (1...1024).contains(sequences) else {
            throw ValidationError("--sequences must be 1 to 1024.")
        }
    }

    func run() throws {
        let rows = try reportingFailure { try measure() }
        try common.finish(rows)
    }

    private func measure() throws -> [TrainSuite.Row] {
        let workers = try common.workers
        let configuration = try ModelConfiguration(contentsOf: URL(fileURLWithPath: config))
        let suite = TrainSuite(
            model: try TrainableModel(configuration, topK: topK, workers: workers),
            parameters: try ParameterSet(random: configuration, deviation: 0.05, seed: common.seed),
            repetitions: repetitions,
            sequences: sequences
        )
        let probe = CeilingProbe(workers: workers)
        print(Machine(threads: workers.count).summary)
        print("ceilings at start: \(probe.measure(repetitions: 5))")
        let selected = topK ?? configuration.indexer?.topK ?? 0
        print(
            "\n\(suite.parameters.count) parameters, top-k \(selected), milliseconds a step of one sequence\n"
        )
        let title = sequences > 1 ? "   \(sequences) as one" : ""
        print("  length       dense      sparse   ratio   sparse tokens/s   working memory, MiB\(title)")
        let rows = try positions.values.map { length in
            let row = try suite.row(length, seed: common.seed)
            print(line(row))
            return row
        }
        print("\nceilings at end: \(probe.measure(repetitions: 5))")
        return rows
    }

    private func line(_ row: TrainSuite.Row) -> String {
        let cells =
            [
                (positionLabel(row.length), 8), (String(format: "%.0f", row.denseMilliseconds), 11),
                (String(format: "%.0f", row.sparseMilliseconds), 11),
                (String(format: "%.2f", row.denseMilliseconds / row.sparseMilliseconds), 7),
                (String(format: "%.0f", Double(row.length) / row.sparseMilliseconds * 1000), 17),
                (row.peakBytes.map { "\($0 >> 20)" } ?? "unknown", 21),
            ] + (row.packedRatio.map { [(String(format: "%.2f ×", $0), 11)] } ?? [])
        return cells.map { text, width in
            String(repeating: " ", count: max(0, width - text.count)) + text
        }.joined(separator: " ")
    }
}

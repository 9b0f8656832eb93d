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
            parameters. The sparse step trains the indexer too.
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

    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(help: "The seed of parameters and tokens.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Write the results as JSON.", valueName: "file"))
    var json: String?

    mutating func validate() throws {
        guard (1...1024).contains(threads ?? 1) else { throw ValidationError("--threads must be 1 to 1024.") }
        guard repetitions >= 1 else { throw ValidationError("--repetitions must be at least 1.") }
    }

    func run() throws {
        let rows = try reportingFailure { try measure() }
        guard let json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        try write(try encoder.encode(rows) + Data("\n".utf8), to: json)
    }

    private func measure() throws -> [TrainSuite.Row] {
        let workers = try threads.map { try Workers(count: $0) } ?? .all
        let configuration = try ModelConfiguration(contentsOf: URL(fileURLWithPath: config))
        let suite = TrainSuite(
            model: try TrainableModel(configuration, topK: topK, workers: workers),
            parameters: try ParameterSet(random: configuration, deviation: 0.05, seed: seed),
            repetitions: repetitions
        )
        let probe = CeilingProbe(workers: workers)
        print(Machine(threads: workers.count).summary)
        print("ceilings at start: \(probe.measure(repetitions: 5))")
        let selected = topK ?? configuration.indexer?.topK ?? 0
        print(
            "\n\(suite.parameters.count) parameters, top-k \(selected), milliseconds a step of one sequence\n"
        )
        print("  length       dense      sparse   ratio   sparse tokens/s   working memory, MiB")
        let rows = try positions.values.map { length in
            let row = try suite.row(length, seed: seed)
            print(line(row))
            return row
        }
        print("\nceilings at end: \(probe.measure(repetitions: 5))")
        return rows
    }

    private func line(_ row: TrainSuite.Row) -> String {
        let cells = [
            (positionLabel(row.length), 8), (String(format: "%.0f", row.denseMilliseconds), 11),
            (String(format: "%.0f", row.sparseMilliseconds), 11),
            (String(format: "%.2f", row.denseMilliseconds / row.sparseMilliseconds), 7),
            (String(format: "%.0f", Double(row.length) / row.sparseMilliseconds * 1000), 17),
            (row.peakBytes.map { "\($0 >> 20)" } ?? "unknown", 21),
        ]
        return cells.map { text, width in
            String(repeating: " ", count: max(0, width - text.count)) + text
        }.joined(separator: " ")
    }
}

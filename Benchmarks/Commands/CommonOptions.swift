import ArgumentParser
import Foundation
import SparseAttention
import SparseInference

/// The options of every command.
struct CommonOptions: ParsableArguments {
    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(help: "The seed of all inputs.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("Write the results as JSON.", valueName: "file"))
    var json: String?

    mutating func validate() throws {
        guard (1...1024).contains(threads ?? 1) else { throw ValidationError("--threads must be 1 to 1024.") }
    }

    /// The threads asked for.
    var workers: Workers {
        get throws { try threads.map { try Workers(count: $0) } ?? .all }
    }

    /// Writes results as JSON, if asked.
    func finish(_ rows: some Encodable) throws {
        guard let json else { return }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        try write(try encoder.encode(rows) + Data("\n".utf8), to: json)
    }
}

/// How a whole model is run.
struct ModelRunOptions: ParsableArguments {
    @Option(
        help: "How caches store numbers: float32, bfloat16 or float8; what the precision says when not given."
    )
    var cache: CacheFormat?

    @Option(help: "sparse: the tokens the indexer selects; dense: all of them.")
    var attention = AttentionMode.sparse
}

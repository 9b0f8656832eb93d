import ArgumentParser
import Foundation
import SparseAttention
import SparseInference

/// Times a whole model: prefill and decode by context, and the memory it takes.
struct ModelCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "Times prefill and decode of a model by context, and its peak memory.",
        discussion: """
            One sequence of random tokens is prefilled chunk by chunk to the last position; at each position on the \
            way tokens are decoded, alone and with other sequences together, and forgotten again. Peak memory includes the mapped weights.

            Without a folder the model is "mini": random bfloat16 weights, heads and latents in DeepSeek-V3.2's sizes, \
            hidden size 1024, four layers. 128K takes several minutes:

              dsa-bench model --precision bfloat16 --positions 2K,8K,32K,128K
            """
    )

    @Argument(help: "The checkpoint's folder.")
    var folder: String?

    @Option(
        help: "float32; bfloat16; deployed-float32, deployed-bfloat16, legacy-float32 or legacy-bfloat16."
    )
    var precision = "bfloat16"

    @OptionGroup var options: ModelRunOptions

    @Option(help: "Lengths of the sequence, such as 1K,32K,131072.", transform: Positions.init(argument:))
    var positions = Positions.model

    @Option(help: "Tokens in a prefill chunk.")
    var chunk = Session.defaultChunk

    @Option(help: "Tokens decoded at each position.")
    var decode = 16

    @Option(help: "Sequences decoded together, against one.")
    var sequences = 8

    @OptionGroup var common: CommonOptions

    mutating func validate() throws {
        guard chunk >= 1 else { throw ValidationError("--chunk must be at least 1.") }
        guard sequences >= 1 else { throw ValidationError("--sequences must be at least 1.") }
        guard decode >= 1 else { throw ValidationError("--decode must be at least 1.") }
        guard LanguageModel.Precision(name: precision) != nil else {
            throw ValidationError("--precision '\(precision)' is none of those listed.")
        }
    }

    func run() throws {
        let report = try reportingFailure { try measure() }
        print(report.table)
        try common.finish(report)
    }
}

// MARK: - Measuring

extension ModelCommand {
    private func measure() throws -> ModelReport {
        let workers = try common.workers
        let progress = Progress()
        defer { progress.show("") }
        let machine = Machine(threads: workers.count)
        print(machine.summary)
        progress.show("opening the model")
        let model = try open(workers: workers)
        progress.show("measuring ceilings")
        let probe = CeilingProbe(workers: workers)
        let start = probe.measure(repetitions: 5)
        let suite = ModelSuite(
            model: model,
            chunk: chunk,
            cacheFormat: options.cache,
            attention: options.attention,
            decodedTokens: decode,
            sequences: sequences
        )
        let clock = ContinuousClock.now
        let total = positions.values.last ?? 0
        let rows = try suite.run(positions.values, seed: common.seed) { done in
            let seconds = (ContinuousClock.now - clock).milliseconds / 1000
            progress.show(String(format: "prefilled \(done) of \(total) tokens, %.0f s", seconds))
        }
        progress.show("measuring ceilings again")
        return ModelReport(
            machine: machine,
            ceilings: [start, probe.measure(repetitions: 5)],
            model: folder.map { URL(fileURLWithPath: $0).lastPathComponent } ?? "mini",
            precision: precision,
            attention: options.attention.rawValue,
            chunk: chunk,
            weightBytesPerToken: model.weightBytesPerToken,
            rows: rows
        )
    }

    /// Opens the model; that of no folder is written first, into a folder that does not outlive this call.
    private func open(workers: Workers) throws -> LanguageModel {
        guard let precision = LanguageModel.Precision(name: precision) else {
            throw Failure(description: "no precision \(precision)")
        }
        if let folder {
            return try LanguageModel(
                contentsOf: URL(fileURLWithPath: folder, isDirectory: true),
                precision: precision,
                workers: workers
            )
        }
        let temporary = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: temporary, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: temporary) }
        try RandomCheckpoint.write(to: temporary, noise: Noise(seed: common.seed, workers: workers))
        return try LanguageModel(contentsOf: temporary, precision: precision, workers: workers)
    }
}

extension LanguageModel {
    /// Bytes of weights one token makes the model read: its parameters, at the checkpoint's average width.
    fileprivate var weightBytesPerToken: Int {
        let entries = configuration.weightShapes.compactMap { checkpoint.entry($0.name) }
        let (bytes, elements) = entries.reduce((0, 0)) { ($0.0 + $1.byteCount, $0.1 + $1.elementCount) }
        return ModelCost(configuration).activeParameters * bytes / max(elements, 1)
    }
}

// MARK: - Reporting

/// What a run of the model suite found out.
private struct ModelReport: Encodable {
    let machine: Machine
    /// Before and after.
    let ceilings: [Ceilings]
    let model: String
    let precision: String
    let attention: String
    let chunk: Int
    /// Bytes of weights one token makes the model read.
    let weightBytesPerToken: Int
    let rows: [ModelSuite.Row]

    /// The report for people.
    var table: String {
        let memory = ceilings.map(\.memoryRead).max() ?? 0
        let floor = Double(weightBytesPerToken) / memory * 1e-6
        let head = """
            model      \(model), \(precision), \(attention) attention, chunks of \(chunk)
            ceilings   \(ceilings.map(\.description).joined(separator: "\n           "))
            weights    \(weightBytesPerToken / 1_000_000) MB a token, \(String(format: "%.1f", floor)) ms to read

             position   decode ms   tokens/s   \(rows.first?.sequences ?? 0) together   times   chunk s   prefill s   tokens/s    peak MiB   caches MiB
            """
        return ([head] + rows.map(line)).joined(separator: "\n")
    }

    private func line(_ row: ModelSuite.Row) -> String {
        let cells = [
            (positionLabel(row.position), 9), (String(format: "%.2f", row.decodeMilliseconds), 11),
            (String(format: "%.1f", 1000 / row.decodeMilliseconds), 10),
            (String(format: "%.1f", 1000 * Double(row.sequences) / row.togetherMilliseconds), 11),
            (String(format: "%.2f", row.togetherRatio), 7),
            (String(format: "%.3f", row.chunkMilliseconds / 1000), 9),
            (String(format: "%.2f", row.prefillSeconds), 11), (String(format: "%.0f", row.prefillRate), 10),
            (row.peakBytes.map { "\($0 >> 20)" } ?? "unknown", 11), ("\(row.cacheBytes >> 20)", 12),
        ]
        return cells.map { text, width in
            String(repeating: " ", count: max(0, width - text.count)) + text
        }.joined(separator: " ")
    }
}

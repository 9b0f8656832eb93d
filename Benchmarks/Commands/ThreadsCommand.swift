import ArgumentParser
import Foundation
import SparseAttention

/// Measures what more threads bring, and whether they change a bit.
struct ThreadsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "threads",
        abstract:
            "Times sparse decode and prefill with 1 … all threads, and compares every bit of the results.",
        discussion: "One DeepSeek-V3.2 layer. Exit status 1 when a result depends on the number of threads."
    )

    @OptionGroup var options: RunOptions

    @Option(help: "The arithmetic of the layer: float32 or bfloat16.")
    var precision = ProductArithmetic.bfloat16

    func run() throws {
        let isSame = try reportingFailure { try measure() }
        guard isSame else { throw ExitCode.failure }
    }

    private func measure() throws -> Bool {
        let most = try options.common.workers.count
        let counts = (0...).lazy.map { 1 << $0 }.prefix { $0 < most } + [most]
        let shape = try LayerShape.deepSeekV32()
        let noise = Noise(seed: options.common.seed, workers: try options.common.workers)
        let position = options.positions?.values.last ?? (options.quick ? 8192 : 32768)
        let layer = try LayerPair(shape: shape, precision: precision, capacity: position, noise: noise)
        try layer.grow(to: position)
        print(Machine(threads: most).summary)
        let probe = CeilingProbe(workers: try options.common.workers)
        let repetitions = options.quick ? 1 : 5
        print("ceilings at start: \(probe.measure(repetitions: repetitions))")
        defer { print("ceilings at end: \(probe.measure(repetitions: repetitions))") }
        print(
            "\nsparse layer core at \(positionLabel(position)), \(precision.rawValue), milliseconds a token"
        )
        var isSame = true
        for tokens in [1, 32] {
            var (single, first) = (0.0, AttentionResult?.none)
            for count in counts {
                let workers = try Workers(count: count)
                var last: AttentionResult?
                let item = BenchmarkCase(
                    name: "threads",
                    position: position,
                    operations: 0,
                    bytes: 0
                ) { laps in
                    last = try laps.time("step", scaledBy: 1 / Double(tokens)) {
                        try step(layer, tokens: tokens, at: position, workers: workers)
                    }
                }
                let measured = try Measurement.alternating(
                    [item],
                    repetitions: Repetitions(minimum: 3, maximum: 30, seconds: options.quick ? 0.3 : 2)
                )[0]
                if count == 1 { (single, first) = (measured.milliseconds, last) }
                let same =
                    zip(
                        first.map { [$0.output, $0.logSumExp] } ?? [],
                        last.map { [$0.output, $0.logSumExp] } ?? []
                    )
                    .allSatisfy { $0.isBitwiseEqual(to: $1) }
                isSame = isSame && same
                print(
                    "  \(tokens == 1 ? "decode " : "prefill") \(count) threads: "
                        + String(
                            format: "%.3f ms, speed-up %.2f",
                            measured.milliseconds,
                            single / measured.milliseconds
                        )
                        + (same ? ", every bit equal" : ", RESULTS DIFFER")
                )
            }
        }
        return isSame
    }

    private func step(_ layer: LayerPair, tokens: Int, at position: Int, workers: Workers) throws
        -> AttentionResult
    {
        let data = layer.sparse
        let selection = try layer.indexer(workers: workers).select(
            queries: data.indexQueries(tokens: tokens),
            weights: data.headWeights(tokens: tokens),
            keys: data.indexKeys,
            from: position - tokens
        )
        return try layer.sparseCore(workers: workers).attend(
            data.absorbedQueries(tokens: tokens),
            to: data.latents,
            at: selection,
            scale: layer.shape.scale
        )
    }
}

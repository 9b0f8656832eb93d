import ArgumentParser
import Foundation
import SparseAttention

/// Times every kernel by itself.
struct KernelsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "kernels",
        abstract: "Times every operator of one DeepSeek-V3.2 layer by itself, as shares of ceilings.",
        discussion: """
            Milliseconds are for one query token. Shares refer to the ceiling named beside them: large float32 \\
            matrix products, bfloat16 dot products on registers alone, or reading memory. FP8 scores multiply \\
            codes widened to bfloat16, exactly.
            """
    )

    @OptionGroup var options: RunOptions

    @Option(help: "Time only kernels whose name contains this text.")
    var filter: String?

    func run() throws {
        let report = try reportingFailure { try measure() }
        print(report.kernelTable)
        try options.finish(report)
    }

    private func measure() throws -> Report {
        let run = try KernelRun(options, workers: options.common.workers)
        return try run.measure { name in filter.map { name.contains($0) } ?? true }
    }
}

/// One measurement of the kernels: machine, ceilings, cases.
struct KernelRun {
    private let options: RunOptions
    private let workers: Workers
    private let noise: Noise
    private let shape: LayerShape

    init(_ options: RunOptions, workers: Workers) throws {
        self.options = options
        self.workers = workers
        noise = Noise(seed: options.common.seed, workers: workers)
        shape = try LayerShape.deepSeekV32()
    }

    /// Times the cases whose name is wanted.
    func measure(_ wanted: (String) -> Bool) throws -> Report {
        let positions = options.positions?.values ?? (options.quick ? [8192] : [8192, 32768, 131_072])
        let machine = Machine(threads: workers.count)
        let progress = Progress()
        defer { progress.show("") }
        print(machine.summary)
        print(shape.cacheSummary)
        progress.show("comparing with the definitions")
        try Verification(shape: shape, workers: workers, noise: noise).run()
        progress.show("measuring ceilings")
        let probe = CeilingProbe(workers: workers)
        let start = probe.measure(repetitions: options.quick ? 3 : 7)
        let suite = KernelSuite(
            layers: try ProductArithmetic.allCases.map { precision in
                try LayerPair(
                    shape: shape,
                    precision: precision,
                    capacity: positions.last ?? 0,
                    noise: noise
                )
            },
            linear: LinearData(noise: noise),
            workers: workers
        )
        var measurements: [Measurement] = []
        for item in suite.linearCases() where wanted(item.name) {
            progress.show(item.name)
            measurements += try Measurement.alternating([item], repetitions: repetitions)
        }
        for position in positions {
            for item in try suite.cases(at: position) where wanted(item.name) {
                progress.show("\(item.name) at \(positionLabel(position))")
                measurements += try Measurement.alternating([item], repetitions: repetitions)
            }
        }
        progress.show("measuring ceilings again")
        let end = probe.measure(repetitions: options.quick ? 3 : 7)
        return Report(
            machine: machine,
            ceilings: (start, end),
            sgemmAlong: [],
            measurements: measurements,
            crossings: [],
            chunk: KernelSuite.chunk,
            seed: options.common.seed
        )
    }

    private var repetitions: Repetitions {
        options.quick
            ? Repetitions(minimum: 2, maximum: 10, seconds: 0.3)
            : Repetitions(minimum: 3, maximum: 50, seconds: 1.5)
    }
}

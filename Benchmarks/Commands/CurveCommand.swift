import ArgumentParser
import Foundation
import SparseAttention

/// Measures dense and sparse attention of one layer with DeepSeek-V3.2's dimensions on this machine.
struct CurveCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "curve",
        abstract: "Times dense against sparse attention of one DeepSeek-V3.2 layer, per token.",
        discussion: """
            Needs no model: inputs are seeded random numbers. Results are first compared with their \
            definitions; a wrong one ends the run before anything is timed.

            In float32 every number is float32. In bfloat16 factors of products are rounded to bfloat16 and \
            summed in float32, the cache holds bfloat16 for dense attention and packed FP8 for sparse \
            attention, whose index scores are those of FP8 codes.

            Decode: absorbed queries of one token against a sequence, the attention core alone. Dense \
            attends to every token; sparse is index scores, top-k, and attention to the selected tokens.

            Prefill: a chunk of tokens that ends at the position, the projections of keys and values \
            included, each side in the form with fewer operations. A part of the chunk runs whose work is \
            exactly proportional, and its time is scaled: some of the heads in expanded form, the middle \
            tokens of the chunk for index scores and the absorbed sparse core. The report says which.

            Times are medians; dense and sparse run in turn. GFLOP/s are operations by count over time, and \
            shares refer to the ceiling of the precision in the same run: large float32 matrix products, or \
            bfloat16 dot products on registers alone.
            """
    )

    @OptionGroup var options: RunOptions

    @Option(help: "The arithmetic of the layer: float32 or bfloat16.")
    var precision = ProductArithmetic.float32

    @Option(help: "What to time: decode or prefill; both when not given.")
    var suite: Suite?

    @Option(help: "Tokens in a prefill chunk.")
    var chunk = 1024

    @Option(help: ArgumentHelp("Write the curves as SVG.", valueName: "file"))
    var svg: String?

    mutating func validate() throws {
        guard chunk >= 1 else { throw ValidationError("--chunk must be at least 1.") }
    }

    func run() throws {
        let report = try reportingFailure { try measure() }
        print(report.table)
        try options.finish(report)
        if let svg { try write(Data(Chart(report).svg.utf8), to: svg) }
    }

    /// What can be timed alone.
    enum Suite: String, CaseIterable, ExpressibleByArgument {
        case decode, prefill
    }
}

// MARK: - Measuring

extension CurveCommand {
    /// Checks, times, and puts the report together.
    private func measure() throws -> Report {
        let workers = try options.common.workers
        let quick = options.quick
        let positions = options.positions ?? (quick ? .quick : .standard)
        let shape = try LayerShape.deepSeekV32()
        let noise = Noise(seed: options.common.seed, workers: workers)
        let machine = Machine(threads: workers.count)
        let progress = Progress()
        defer { progress.show("") }

        print(machine.summary)
        print(shape.cacheSummary)
        progress.show("comparing with the definitions")
        try Verification(shape: shape, workers: workers, noise: noise).run()
        progress.show("measuring ceilings")
        let probe = CeilingProbe(workers: workers)
        let start = probe.measure(repetitions: quick ? 3 : 7)

        let capacity = positions.values.last ?? 0
        let layer = try LayerPair(shape: shape, precision: precision, capacity: capacity, noise: noise)
        let decode = DecodeSuite(layer: layer, workers: workers)
        let prefill = PrefillSuite(layer: layer, workers: workers, chunk: chunk)
        var measurements: [Measurement] = []
        var sgemmAlong: [(position: Int, gigaflops: Double)] = []
        for position in positions.values {
            sgemmAlong.append((position, probe.sgemm(repetitions: 3)))
            for suite in suites {
                progress.show("\(suite.rawValue) at \(positionLabel(position))")
                switch suite {
                case .decode:
                    let cases = try decode.cases(at: position)
                    measurements += try Measurement.alternating(cases, repetitions: decodeRepetitions)
                case .prefill:
                    let cases = try prefill.cases(at: position)
                    measurements += try Measurement.alternating(cases, repetitions: prefillRepetitions)
                }
            }
        }
        progress.show("measuring ceilings again")
        let end = probe.measure(repetitions: quick ? 3 : 7)
        progress.show("")
        return Report(
            machine: machine,
            ceilings: (start, end),
            sgemmAlong: sgemmAlong,
            measurements: measurements,
            crossings: crossings(in: measurements, shape: shape),
            chunk: chunk,
            seed: options.common.seed
        )
    }
}

// MARK: - Choices

extension CurveCommand {
    /// What to time, in order.
    private var suites: [Suite] { suite.map { [$0] } ?? Suite.allCases }

    /// How often decoding runs at a position.
    private var decodeRepetitions: Repetitions {
        options.quick
            ? Repetitions(minimum: 3, maximum: 10, seconds: 0.3)
            : Repetitions(minimum: 5, maximum: 50, seconds: 1.2)
    }

    /// How often prefill runs at a position.
    private var prefillRepetitions: Repetitions {
        options.quick
            ? Repetitions(minimum: 1, maximum: 3, seconds: 1)
            : Repetitions(minimum: 2, maximum: 9, seconds: 4)
    }

    /// Where sparse attention becomes the cheaper one, and where scoring becomes its dearer part.
    private func crossings(
        in measurements: [Measurement],
        shape: LayerShape
    ) -> [(name: String, meaning: String, crossing: Crossing)] {
        // Up to top-k both sides do the same.
        func named(_ name: String) -> [Measurement] {
            measurements.filter { $0.benchmark.name == name && $0.benchmark.position > shape.topK }
        }
        let suites = suites.filter { !named("sparse-\($0.rawValue)").isEmpty }
        var crossings = suites.map { suite in
            let points = zip(named("dense-\(suite.rawValue)"), named("sparse-\(suite.rawValue)")).map {
                ($0.benchmark.position, $0.milliseconds, $1.milliseconds)
            }
            return (suite.rawValue, "Sparse \(suite.rawValue) becomes cheaper than dense", Crossing(points))
        }
        if suites.contains(.decode) {
            let points = named("sparse-decode").map {
                (
                    $0.benchmark.position, $0.milliseconds(of: DecodeSuite.selectionPart) ?? 0,
                    $0.milliseconds(of: DecodeSuite.corePart) ?? 0
                )
            }
            crossings.append(
                ("indexOverCore", "In sparse decode, scoring and top-k overtake the core", Crossing(points))
            )
        }
        let byCount = Crossing.at(shape.indexOvertakesCore)
        return crossings + [
            ("indexOverCoreByCount", "By count of operations, scoring overtakes the core", byCount)
        ]
    }
}

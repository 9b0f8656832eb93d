/// Times of repeated runs, in ascending order.
struct Samples {
    /// Milliseconds, ascending, at least one.
    let sorted: [Double]

    /// Orders a list of times.
    init(_ milliseconds: [Double]) {
        precondition(!milliseconds.isEmpty)
        sorted = milliseconds.sorted()
    }

    /// The middle sample.
    var median: Double { quantile(0.5) }

    /// The time below which a share of the runs lies, interpolated between neighbours.
    func quantile(_ share: Double) -> Double {
        let place = share * Double(sorted.count - 1)
        let (low, high) = (Int(place.rounded(.down)), Int(place.rounded(.up)))
        return sorted[low] + (sorted[high] - sorted[low]) * (place - Double(low))
    }
}

/// How often to run the cases of one point.
struct Repetitions {
    /// Runs that are made whatever they take.
    let minimum: Int
    /// Runs after which a point is done in any case.
    let maximum: Int
    /// Seconds after which no further run starts.
    let seconds: Double
}

/// A case with the times it took.
struct Measurement {
    /// What was timed.
    let benchmark: BenchmarkCase
    /// Times of whole runs.
    let samples: Samples
    /// Median milliseconds of each part, in the order the parts ran.
    let parts: [(name: String, milliseconds: Double)]

    /// Median milliseconds for one query token.
    var milliseconds: Double { samples.median }
    /// Operations a second, in billions, by count and median time.
    var gigaflops: Double { benchmark.operations / milliseconds * 1e-6 }
    /// Bytes a second, in billions, by count and median time.
    var gigabytes: Double { benchmark.bytes / milliseconds * 1e-6 }

    /// Median milliseconds of one part.
    func milliseconds(of part: String) -> Double? {
        parts.first { $0.name == part }?.milliseconds
    }

    /// Times several cases, turn by turn, so that a slow spell of the machine meets them alike.
    ///
    /// The first turn warms up and is not counted, unless it alone takes a quarter of the time allowed: so
    /// long a run has warmed itself.
    ///
    /// - Parameters:
    ///   - cases: at least one.
    ///   - repetitions: how often to run each.
    /// - Returns: one measurement for each case, in order.
    /// - Throws: whatever a case throws.
    static func alternating(_ cases: [BenchmarkCase], repetitions: Repetitions) throws -> [Measurement] {
        let clock = ContinuousClock()
        let start = clock.now
        var laps = try cases.map { try [run($0)] }
        if (clock.now - start).milliseconds < repetitions.seconds * 250 {
            laps = cases.map { _ in [] }
        }
        while laps[0].count < repetitions.minimum
            || laps[0].count < repetitions.maximum
                && (clock.now - start).milliseconds < repetitions.seconds * 1e3
        {
            for (index, benchmark) in cases.enumerated() {
                laps[index].append(try run(benchmark))
            }
        }
        return zip(cases, laps).map { Measurement($0, laps: $1) }
    }

    private static func run(_ benchmark: BenchmarkCase) throws -> Laps {
        var laps = Laps()
        try benchmark.body(&laps)
        return laps
    }

    private init(_ benchmark: BenchmarkCase, laps: [Laps]) {
        self.benchmark = benchmark
        samples = Samples(laps.map(\.milliseconds))
        parts = laps[0].parts.indices.map { index in
            (laps[0].parts[index].name, Samples(laps.map { $0.parts[index].milliseconds }).median)
        }
    }
}

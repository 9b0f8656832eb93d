import Foundation

/// All a run found out.
struct Report {
    /// Where it ran.
    let machine: Machine
    /// The ceilings before the first case and after the last.
    let ceilings: (start: Ceilings, end: Ceilings)
    /// The matrix-product ceiling just before the cases of each position.
    let sgemmAlong: [(position: Int, gigaflops: Double)]
    /// What was timed, in ascending order of position for each name.
    let measurements: [Measurement]
    /// Lengths at which one cost overtakes another, by name.
    let crossings: [(name: String, meaning: String, crossing: Crossing)]
    /// Query tokens of a prefill chunk.
    let chunk: Int
    /// The seed of all inputs.
    let seed: UInt64

    /// Change of a ceiling between start and end from which figures are doubtful.
    static let tolerableDrift = 0.1

    /// The ceilings that shares refer to: the higher of both measurements.
    var ceiling: Ceilings { .highest(ceilings.start, ceilings.end) }

    /// What was timed under a name, ascending in position.
    func measurements(named name: String) -> [Measurement] {
        measurements.filter { $0.benchmark.name == name }.sorted {
            $0.benchmark.position < $1.benchmark.position
        }
    }

    /// The share of its ceiling a case reached; 0 without one.
    func shareOfCeiling(_ measurement: Measurement) -> Double {
        switch measurement.benchmark.ceiling {
        case .sgemm: measurement.gigaflops / ceiling.sgemm
        case .bf16Dot: measurement.gigaflops / ceiling.bf16Dot
        case .memoryRead: measurement.gigabytes / ceiling.memoryRead
        case .none: 0
        }
    }

    /// Warnings for ceilings that moved, between start and end or at a position.
    var driftWarnings: [String] {
        let (start, end) = ceilings
        let moved = [
            ("sgemm", start.sgemm, end.sgemm), ("bf16 dot", start.bf16Dot, end.bf16Dot),
            ("memory read", start.memoryRead, end.memoryRead),
        ]
        .filter { abs($0.2 / $0.1 - 1) > Self.tolerableDrift }
        .map {
            String(format: "WARNING: \($0.0) moved from %.0f to %.0f during the run; run again.", $0.1, $0.2)
        }
        let slow = sgemmAlong.filter { $0.gigaflops < (1 - Self.tolerableDrift) * ceiling.sgemm }
        guard !slow.isEmpty else { return moved }
        let places = slow.map { positionLabel($0.position) + String(format: " (%.0f)", $0.gigaflops) }
        return moved + ["WARNING: sgemm was slower before " + places.joined(separator: ", ") + "; run again."]
    }
}

/// A position as people write it: 512, 1K, 128K.
func positionLabel(_ position: Int) -> String {
    position >= 1024 && position % 1024 == 0 ? "\(position / 1024)K" : "\(position)"
}

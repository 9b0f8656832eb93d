/// One thing to time: what it is, what it costs by count, and how to run it once.
struct BenchmarkCase {
    /// What is timed, as it appears in reports: `sparse-decode`.
    let name: String
    /// The number format of what the operator reads.
    var precision = "float32"
    /// The ceiling its share refers to.
    var ceiling = Ceiling.sgemm
    /// The tokens of the sequence; the last ones are the queries.
    let position: Int
    /// Floating-point operations for one query token, a multiplication and an addition counting as two.
    let operations: Double
    /// Bytes one query token makes the operator read at least, when a chunk shares what it can.
    let bytes: Double
    /// What part of the work runs, when the time of the whole follows from it by a factor; nil for all of it.
    var sampled: String?
    /// Runs once and hands the time of each part to the laps.
    let body: (inout Laps) throws -> Void
}

/// What limits a case.
enum Ceiling: String, Encodable {
    /// Float32 matrix products.
    case sgemm
    /// Dot products of bfloat16.
    case bf16Dot
    /// Reading memory.
    case memoryRead
    /// Nothing that is counted: time alone is told.
    case none
}

/// The time one run of a case takes, part by part.
struct Laps {
    /// Milliseconds of each part, in the order the parts ran.
    private(set) var parts: [(name: String, milliseconds: Double)] = []

    /// Milliseconds of the whole run.
    var milliseconds: Double { parts.reduce(0) { $0 + $1.milliseconds } }

    /// Times one part.
    ///
    /// - Parameters:
    ///   - part: its name.
    ///   - factor: what turns the time of the work done into that of one query token.
    ///   - work: what is timed.
    /// - Returns: what `work` returns.
    mutating func time<Result>(
        _ part: String,
        scaledBy factor: Double = 1,
        _ work: () throws -> Result
    ) rethrows -> Result {
        let clock = ContinuousClock()
        let start = clock.now
        let result = try work()
        parts.append((part, (clock.now - start).milliseconds * factor))
        return result
    }
}

extension Duration {
    /// The duration in milliseconds.
    var milliseconds: Double {
        Double(components.seconds) * 1e3 + Double(components.attoseconds) * 1e-15
    }
}

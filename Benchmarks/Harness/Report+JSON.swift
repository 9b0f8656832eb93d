import Foundation

extension Report {
    /// The report for comparison.
    ///
    /// `results` holds median milliseconds for one query token with `p10` and `p90`; `gigaflops` is the count
    /// of operations over that time, and `shareOfCeiling` its share of the ceiling that `ceiling` names. Each ceiling is the
    /// higher one of `ceilingsAtStart` and `ceilingsAtEnd`; `sgemmAlong` holds one figure for each position,
    /// taken just before its cases. `sampled` names what ran, if not all did.
    func json() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        let document = Document(
            machine: machine,
            ceilings: ceiling,
            ceilingsAtStart: ceilings.start,
            ceilingsAtEnd: ceilings.end,
            sgemmAlong: sgemmAlong.map(\.gigaflops),
            warnings: driftWarnings,
            seed: seed,
            chunk: chunk,
            results: measurements.map(result),
            crossings: Dictionary(
                uniqueKeysWithValues: crossings.map { ($0.name, $0.crossing.description) }
            )
        )
        return try encoder.encode(document) + Data("\n".utf8)
    }

    private func result(_ measurement: Measurement) -> Document.Result {
        Document.Result(
            name: measurement.benchmark.name,
            precision: measurement.benchmark.precision,
            position: measurement.benchmark.position,
            milliseconds: measurement.milliseconds,
            p10: measurement.samples.quantile(0.1),
            p90: measurement.samples.quantile(0.9),
            runs: measurement.samples.sorted.count,
            gigaflops: measurement.gigaflops,
            gigabytes: measurement.gigabytes,
            ceiling: measurement.benchmark.ceiling,
            shareOfCeiling: shareOfCeiling(measurement),
            operations: measurement.benchmark.operations,
            bytes: measurement.benchmark.bytes,
            sampled: measurement.benchmark.sampled,
            parts: Dictionary(measurement.parts.map { ($0.name, $0.milliseconds) }, uniquingKeysWith: +)
        )
    }

    /// What the file holds.
    private struct Document: Encodable {
        let machine: Machine
        let ceilings: Ceilings
        let ceilingsAtStart: Ceilings
        let ceilingsAtEnd: Ceilings
        let sgemmAlong: [Double]
        let warnings: [String]
        let seed: UInt64
        let chunk: Int
        let results: [Result]
        let crossings: [String: String]

        struct Result: Encodable {
            let name: String
            let precision: String
            let position: Int
            let milliseconds: Double
            let p10: Double
            let p90: Double
            let runs: Int
            let gigaflops: Double
            let gigabytes: Double
            let ceiling: Ceiling
            let shareOfCeiling: Double
            let operations: Double
            let bytes: Double
            let sampled: String?
            let parts: [String: Double]
        }
    }
}

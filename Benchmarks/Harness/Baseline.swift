import Foundation

/// An earlier run, to compare with.
///
/// Shares of a ceiling are compared, not times: the machine of the day cancels out.
struct Baseline {
    private let results: [Key: Double]

    private struct Key: Hashable {
        let name: String
        let precision: String
        let position: Int
    }

    private struct Document: Decodable {
        let results: [Result]

        struct Result: Decodable {
            let name: String
            let precision: String
            let position: Int
            let shareOfCeiling: Double
        }
    }

    /// Reads the JSON of a run.
    init(contentsOf path: String) throws {
        do {
            let data = try Data(contentsOf: URL(fileURLWithPath: path))
            let document = try JSONDecoder().decode(Document.self, from: data)
            results = Dictionary(
                document.results.map {
                    (Key(name: $0.name, precision: $0.precision, position: $0.position), $0.shareOfCeiling)
                },
                uniquingKeysWith: { first, _ in first }
            )
        } catch {
            throw Failure(description: "\(path) is no report of dsa-bench: \(error)")
        }
    }

    /// How a run compares.
    struct Comparison {
        let table: String
        /// Whether some case is slower by more than the margin.
        let isSlower: Bool
    }

    /// Compares a run, case by case; cases only one run has are left out.
    func compare(_ report: Report, margin: Double) -> Comparison {
        var lines = ["", "Against the baseline, share of the ceiling now over then"]
        var isSlower = false
        for measurement in report.measurements {
            let benchmark = measurement.benchmark
            let key = Key(
                name: benchmark.name,
                precision: benchmark.precision,
                position: benchmark.position
            )
            guard let then = results[key], then > 0 else { continue }
            let ratio = report.shareOfCeiling(measurement) / then
            let slower = ratio < 1 / (1 + margin)
            isSlower = isSlower || slower
            lines.append(
                "  \(benchmark.name), \(benchmark.precision), \(positionLabel(benchmark.position)): "
                    + String(format: "%.2f", ratio) + (slower ? "  SLOWER" : "")
            )
        }
        if lines.count == 2 { lines.append("  no case in common") }
        return Comparison(table: lines.joined(separator: "\n"), isSlower: isSlower)
    }
}

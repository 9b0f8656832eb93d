import Foundation

extension Report {
    /// The report for people.
    var table: String {
        var lines =
            [ceilingLine("at start", ceilings.start), ceilingLine("at end", ceilings.end)] + driftWarnings
        for (title, phase) in [
            ("Decode: one token, attention core, milliseconds", "decode"),
            ("Prefill: chunk of \(chunk), milliseconds per token", "prefill"),
        ]
        where !measurements(named: "sparse-\(phase)").isEmpty {
            lines += ["", title] + comparison(phase) + [""] + parts("sparse-\(phase)")
        }
        lines.append("")
        lines += crossings.map { "\($0.meaning) \($0.crossing)" }
        return lines.joined(separator: "\n")
    }

    /// One line a case, for suites of kernels.
    var kernelTable: String {
        let lines = [ceilingLine("at start", ceilings.start), ceilingLine("at end", ceilings.end)]
        let width = measurements.map(\.benchmark.name.count).max() ?? 0
        func name(_ text: String) -> String { text.padding(toLength: width, withPad: " ", startingAt: 0) }
        let head =
            name("kernel") + "  precision       "
            + columns(["position", "ms", "GFLOP/s", "GB/s", "share"]) + "  of"
        return
            (lines + driftWarnings + ["", head]
            + measurements.map { measurement in
                let benchmark = measurement.benchmark
                return name(benchmark.name) + "  "
                    + benchmark.precision.padding(toLength: 16, withPad: " ", startingAt: 0)
                    + columns([
                        positionLabel(benchmark.position), milliseconds(measurement.milliseconds),
                        String(format: "%.0f", measurement.gigaflops),
                        String(format: "%.1f", measurement.gigabytes),
                        benchmark.ceiling == .none ? "" : percent(shareOfCeiling(measurement)),
                    ]) + "  \(benchmark.ceiling == .none ? "" : benchmark.ceiling.rawValue)"
                    + (benchmark.sampled.map { "  (\($0))" } ?? "")
            }).joined(separator: "\n")
    }

    /// Ceilings on one line.
    private func ceilingLine(_ title: String, _ ceilings: Ceilings) -> String {
        "ceilings \(title): \(ceilings)"
    }

    /// Dense beside sparse, one line a position.
    private func comparison(_ phase: String) -> [String] {
        let head = columns([
            "position", "dense", "sparse", "ratio", "dense GFLOP/s", "of peak", "sparse GFLOP/s", "of peak",
        ])
        return [head]
            + zip(measurements(named: "dense-\(phase)"), measurements(named: "sparse-\(phase)")).map {
                dense,
                sparse in
                columns([
                    positionLabel(dense.benchmark.position),
                    milliseconds(dense.milliseconds),
                    milliseconds(sparse.milliseconds),
                    String(format: "%.2f", dense.milliseconds / sparse.milliseconds),
                    String(format: "%.0f", dense.gigaflops),
                    percent(shareOfCeiling(dense)),
                    String(format: "%.0f", sparse.gigaflops),
                    percent(shareOfCeiling(sparse)),
                ])
            }
    }

    /// The parts of a case, one line a position.
    private func parts(_ name: String) -> [String] {
        ["Parts of \(name), milliseconds per token"]
            + measurements(named: name).map { measurement in
                let parts = measurement.parts.map { "\($0.name) \(milliseconds($0.milliseconds))" }
                let sampled = measurement.benchmark.sampled.map { " (sampled: \($0))" } ?? ""
                return columns([positionLabel(measurement.benchmark.position)]) + "  "
                    + parts.joined(separator: ", ") + sampled
            }
    }

    private func columns(_ cells: [String]) -> String {
        cells.map { cell in
            String(repeating: " ", count: max(0, (cell.count > 8 ? 14 : 9) - cell.count)) + cell
        }.joined(separator: " ")
    }

    private func milliseconds(_ value: Double) -> String {
        String(format: value < 10 ? "%.3f" : value < 100 ? "%.2f" : "%.1f", value)
    }

    private func percent(_ share: Double) -> String {
        String(format: "%.0f %%", share * 100)
    }
}

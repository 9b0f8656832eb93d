import Foundation

/// Dense and sparse times over position as an SVG picture: a panel for decode, one for prefill.
///
/// Both axes are logarithmic, so that a cost that grows with the length is a straight line and a ratio is a
/// distance.
struct Chart {
    private let report: Report
    private let positions: [Int]
    private let milliseconds: ClosedRange<Double>

    private static let width = 1040.0
    private static let height = 490.0
    private static let panel = (width: 430.0, height: 320.0, top: 110.0)
    private static let panelLefts = [70.0, 590.0]
    private static let ink = "#1f2933"
    private static let faint = "#d5dbe1"
    private static let series = [
        Series(name: "dense", colour: "#c2410c"),
        Series(name: "sparse", colour: "#1d4ed8"),
    ]

    private struct Series {
        let name: String
        let colour: String
    }

    /// The picture of a report.
    init(_ report: Report) {
        self.report = report
        positions = Set(report.measurements.map(\.benchmark.position)).sorted()
        let times = report.measurements.map(\.milliseconds)
        let (low, high) = (times.min() ?? 1, times.max() ?? 10)
        // Half a step of room on either side, so that no point touches the frame.
        milliseconds = low / 1.4...high * 1.6
    }

    /// The picture.
    var svg: String {
        let (width, height) = (number(Self.width), number(Self.height))
        var lines = [
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"\(width)\" height=\"\(height)\" "
                + "viewBox=\"0 0 \(width) \(height)\" font-family=\"Helvetica, sans-serif\" role=\"img\">",
            "<title>Dense and sparse attention of one DeepSeek-V3.2 layer</title>",
            "<rect width=\"\(width)\" height=\"\(height)\" fill=\"#ffffff\"/>",
            text(
                "Dense and sparse attention, one DeepSeek-V3.2 layer",
                x: 28,
                y: 36,
                size: 20,
                weight: "bold"
            ),
            text(subtitle, x: 28, y: 58, size: 12.5, colour: "#52606d"),
        ]
        lines += legend
        lines += panel("Decode: one token, attention core", phase: "decode", left: Self.panelLefts[0])
        lines += panel("Prefill: chunk of \(report.chunk) tokens", phase: "prefill", left: Self.panelLefts[1])
        lines.append("</svg>")
        return lines.joined(separator: "\n") + "\n"
    }

    private var subtitle: String {
        let machine = report.machine
        let threads = machine.threads == 1 ? "1 thread" : "\(machine.threads) threads"
        let ceiling = String(format: "%.0f", report.ceiling.sgemm)
        return "\(machine.processor), \(threads), \(machine.kernels) kernels, float32, "
            + "sgemm \(ceiling) GFLOP/s; medians, both axes logarithmic"
    }

    private var legend: [String] {
        Self.series.enumerated().flatMap { index, series in
            let x = Self.width - 200 + Double(index) * 90
            return [
                line(from: (x, 32), to: (x + 26, 32), colour: series.colour, width: 2.5),
                text(series.name, x: x + 32, y: 36, size: 13),
            ]
        }
    }
}

// MARK: - Panels

extension Chart {
    private func panel(_ title: String, phase: String, left: Double) -> [String] {
        let (top, bottom) = (Self.panel.top, Self.panel.top + Self.panel.height)
        var lines = [text(title, x: left, y: top - 14, size: 14, weight: "bold")]
        for tick in ticks {
            let y = height(of: tick)
            lines.append(
                line(from: (left, y), to: (left + Self.panel.width, y), colour: Self.faint, width: 1)
            )
            lines.append(text(label(tick), x: left - 8, y: y + 4, size: 12, anchor: "end"))
        }
        for position in positions {
            let x = place(of: position, left: left)
            lines.append(line(from: (x, bottom), to: (x, bottom + 5), colour: Self.ink, width: 1))
            lines.append(text(positionLabel(position), x: x, y: bottom + 20, size: 12, anchor: "middle"))
        }
        lines.append(
            line(from: (left, bottom), to: (left + Self.panel.width, bottom), colour: Self.ink, width: 1)
        )
        lines.append(
            text(
                "tokens in the sequence",
                x: left + Self.panel.width / 2,
                y: bottom + 42,
                size: 12.5,
                anchor: "middle"
            )
        )
        lines.append(text("ms per token", x: left - 42, y: top + 6, size: 12.5, isTurned: true))
        for series in Self.series {
            lines += curve(report.measurements(named: "\(series.name)-\(phase)"), series: series, left: left)
        }
        return lines + ratio(phase: phase, left: left)
    }

    private func curve(_ measurements: [Measurement], series: Series, left: Double) -> [String] {
        let points = measurements.map {
            (place(of: $0.benchmark.position, left: left), height(of: $0.milliseconds))
        }
        let path = points.map { "\(number($0.0)),\(number($0.1))" }.joined(separator: " ")
        return [
            "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(series.colour)\" stroke-width=\"2.5\"/>"
        ]
            + zip(measurements, points).map { measurement, point in
                let title =
                    "\(series.name), \(positionLabel(measurement.benchmark.position)): "
                    + "\(label(measurement.milliseconds)) ms"
                return "<circle cx=\"\(number(point.0))\" cy=\"\(number(point.1))\" r=\"3.5\" "
                    + "fill=\"\(series.colour)\"><title>\(title)</title></circle>"
            }
    }

    /// The times at the longest position, and their ratio, beside the last points.
    private func ratio(phase: String, left: Double) -> [String] {
        guard let dense = report.measurements(named: "dense-\(phase)").last,
            let sparse = report.measurements(named: "sparse-\(phase)").last, positions.count > 1
        else { return [] }
        let x = place(of: dense.benchmark.position, left: left) - 8
        let factor = String(format: "%.1f×", dense.milliseconds / sparse.milliseconds)
        let middle = (height(of: dense.milliseconds) + height(of: sparse.milliseconds)) / 2
        return [
            text(
                label(dense.milliseconds),
                x: x,
                y: height(of: dense.milliseconds) - 8,
                size: 12,
                anchor: "end"
            ),
            text(
                label(sparse.milliseconds),
                x: x + 8,
                y: height(of: sparse.milliseconds) + 20,
                size: 12,
                anchor: "end"
            ),
            text(factor, x: x + 12, y: middle + 5, size: 15, weight: "bold", anchor: "end"),
        ]
    }
}

// MARK: - Scales

extension Chart {
    /// Round numbers of milliseconds inside the range: 1, 2 and 5 of each decade.
    private var ticks: [Double] {
        (-3...5).flatMap { exponent in
            [1.0, 2, 5].map { $0 * pow(10, Double(exponent)) }
        }.filter(milliseconds.contains)
    }

    private func height(of value: Double) -> Double {
        let share =
            log(value / milliseconds.lowerBound) / log(milliseconds.upperBound / milliseconds.lowerBound)
        return Self.panel.top + Self.panel.height * (1 - share)
    }

    private func place(of position: Int, left: Double) -> Double {
        guard let first = positions.first, let last = positions.last, first < last else {
            return left + Self.panel.width / 2
        }
        let share = log2(Double(position) / Double(first)) / log2(Double(last) / Double(first))
        let margin = 16.0
        return left + margin + (Self.panel.width - 2 * margin) * share
    }

    private func label(_ milliseconds: Double) -> String {
        milliseconds >= 99.5
            ? String(format: "%.0f", milliseconds)
            : String(format: "%.3g", milliseconds)
    }
}

// MARK: - Marks

extension Chart {
    private func number(_ value: Double) -> String {
        let rounded = (value * 10).rounded() / 10
        return rounded == rounded.rounded() ? "\(Int(rounded))" : "\(rounded)"
    }

    private func line(
        from start: (Double, Double),
        to end: (Double, Double),
        colour: String,
        width: Double
    ) -> String {
        "<line x1=\"\(number(start.0))\" y1=\"\(number(start.1))\" x2=\"\(number(end.0))\" "
            + "y2=\"\(number(end.1))\" stroke=\"\(colour)\" stroke-width=\"\(number(width))\"/>"
    }

    private func text(
        _ content: String,
        x: Double,
        y: Double,
        size: Double,
        weight: String = "normal",
        colour: String = Chart.ink,
        anchor: String = "start",
        isTurned: Bool = false
    ) -> String {
        let content = content.replacingOccurrences(of: "&", with: "&amp;")
            .replacingOccurrences(of: "<", with: "&lt;")
        let turn = isTurned ? " transform=\"rotate(-90 \(number(x)) \(number(y)))\"" : ""
        let anchor = isTurned ? "end" : anchor
        return "<text x=\"\(number(x))\" y=\"\(number(y))\" font-size=\"\(number(size))\" "
            + "font-weight=\"\(weight)\" fill=\"\(colour)\" "
            + "text-anchor=\"\(anchor)\"\(turn)>\(content)</text>"
    }
}

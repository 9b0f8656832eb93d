import Drawing
import Foundation

/// Dense and sparse times over position as a picture: a panel for decode, one for prefill.
///
/// Both axes are logarithmic, so that a cost that grows with the length is a straight line and a ratio is a
/// distance.
struct Chart {
    private let report: Report
    private let positions: Axis
    private let milliseconds: Axis

    private static let width = 1040.0

    /// The picture of a report.
    init(_ report: Report) {
        self.report = report
        let positions = Set(report.measurements.map(\.benchmark.position)).sorted()
        self.positions = Axis(
            "tokens in the sequence",
            Double(positions.first ?? 1)...Double(positions.last ?? 1),
            isLogarithmic: true,
            ticks: positions.map { (Double($0), positionLabel($0)) }
        )
        milliseconds = .logarithmic("ms per token", around: report.measurements.map(\.milliseconds))
    }

    /// The picture.
    var svg: String {
        let title = "Dense and sparse attention, one DeepSeek-V3.2 layer"
        var drawing = Drawing(width: Self.width, height: 490, title: title)
        drawing.text(title, at: CGPoint(x: 28, y: 36), size: 20, isBold: true)
        drawing.text(subtitle, at: CGPoint(x: 28, y: 58), size: 12.5, colour: Drawing.Colour.quiet)
        let decode = panel("Decode: one token, attention core", phase: "decode", left: 70)
        let prefill = panel("Prefill: chunk of \(report.chunk) tokens", phase: "prefill", left: 590)
        Panel.legend(decode.curves, from: CGPoint(x: Self.width - 200, y: 36), in: &drawing)
        for panel in [decode, prefill] {
            panel.draw(in: &drawing)
            drawRatio(of: panel, in: &drawing)
        }
        return drawing.svg
    }

    private var subtitle: String {
        let machine = report.machine
        let threads = machine.threads == 1 ? "1 thread" : "\(machine.threads) threads"
        let ceiling = String(format: "%.0f", report.ceiling.sgemm)
        return "\(machine.processor), \(threads), \(machine.kernels) kernels, float32, "
            + "sgemm \(ceiling) GFLOP/s; medians, both axes logarithmic"
    }

    private func panel(_ title: String, phase: String, left: Double) -> Panel {
        let curves = [("dense", Drawing.Colour.dense), ("sparse", Drawing.Colour.sparse)].map {
            name,
            colour in
            Panel.Curve(
                name,
                colour: colour,
                points: report.measurements(named: "\(name)-\(phase)").map {
                    let place = positionLabel($0.benchmark.position)
                    let note = "\(name), \(place): \(Axis.name($0.milliseconds)) ms"
                    return (Double($0.benchmark.position), $0.milliseconds, note)
                }
            )
        }
        let frame = CGRect(x: left, y: 110, width: 430, height: 320)
        return Panel(title, x: positions, y: milliseconds, curves: curves, frame: frame)
    }

    /// The times at the longest position, and their ratio, beside the last points.
    private func drawRatio(of panel: Panel, in drawing: inout Drawing) {
        guard let dense = panel.curves[0].points.last, let sparse = panel.curves[1].points.last,
            panel.curves[0].points.count > 1
        else { return }
        let (upper, lower) = (panel.point(dense.x, dense.y), panel.point(sparse.x, sparse.y))
        let x = upper.x - 8
        drawing.text(Axis.name(dense.y), at: CGPoint(x: x, y: upper.y - 8), anchor: .end)
        drawing.text(Axis.name(sparse.y), at: CGPoint(x: x + 8, y: lower.y + 20), anchor: .end)
        let middle = CGPoint(x: x + 12, y: (upper.y + lower.y) / 2 + 5)
        let factor = String(format: "%.1f×", dense.y / sparse.y)
        drawing.text(factor, at: middle, size: 15, isBold: true, anchor: .end)
    }
}

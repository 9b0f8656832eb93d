import Drawing
import Foundation
import SparseTraining

/// The losses of a run over its steps as a picture: the model's above, the indexers' below.
struct TrainingCurves {
    private let lines: [TrainingLog.Line]

    /// Points of a curve at most; a point is the mean of the steps it stands for.
    private static let points = 240
    private static let width = 900.0

    init(_ log: TrainingLog) {
        lines = log.lines
    }

    /// The picture.
    var svg: String {
        var drawing = Drawing(width: Self.width, height: 700, title: "Losses of a training run")
        let model = panel(
            "Model: loss in nats a token",
            top: 60,
            [
                ("all tokens", Drawing.Colour.dense, \.loss),
                ("answers", Drawing.Colour.needle, \.answerLoss),
            ]
        )
        let indexer = panel(
            "Indexers: Kullback-Leibler divergence in nats a token, added over layers",
            top: 400,
            [("indexers", Drawing.Colour.sparse, \.indexerLoss)]
        )
        for panel in [model, indexer] where panel.curves.contains(where: { !$0.points.isEmpty }) {
            drawStages(of: panel, in: &drawing)
            panel.draw(in: &drawing)
        }
        let legend = model.curves + indexer.curves
        Panel.legend(legend, from: CGPoint(x: Self.width - 330, y: 28), in: &drawing)
        return drawing.svg
    }

    private func panel(
        _ title: String,
        top: Double,
        _ series: [(name: String, colour: String, value: (TrainingLog.Line) -> Double?)]
    ) -> Panel {
        let curves = series.map { name, colour, value in
            Panel.Curve(name, colour: colour, points: means(value).map { ($0.step, $0.mean, nil) })
        }
        let values = curves.flatMap { $0.points.map(\.y) }
        return Panel(
            title,
            x: .linear("steps", over: [Double(max(lines.count, 1))], from: 0),
            y: .linear("nats", over: values, from: 0),
            curves: curves,
            frame: CGRect(x: 70, y: top, width: Self.width - 110, height: 240)
        )
    }

    /// A value's means over equal numbers of steps; steps without the value are left out.
    private func means(_ value: (TrainingLog.Line) -> Double?) -> [(step: Double, mean: Double)] {
        let size = max(1, (lines.count + Self.points - 1) / Self.points)
        return stride(from: 0, to: lines.count, by: size).compactMap { start in
            let values = lines[start..<min(start + size, lines.count)].compactMap(value)
            guard !values.isEmpty else { return nil }
            return (Double(start) + Double(size) / 2, values.reduce(0, +) / Double(values.count))
        }
    }

    /// A line where each stage begins, with its name.
    private func drawStages(of panel: Panel, in drawing: inout Drawing) {
        for (index, line) in lines.enumerated() where index == 0 || lines[index - 1].stage != line.stage {
            let x = panel.point(Double(index), 0).x
            drawing.line(
                from: CGPoint(x: x, y: panel.frame.minY),
                to: CGPoint(x: x, y: panel.frame.maxY),
                colour: Drawing.Colour.quiet
            )
            let name = CGPoint(x: x + 4, y: panel.frame.minY + 10)
            drawing.text(line.stage, at: name, size: 10, colour: Drawing.Colour.quiet)
        }
    }
}

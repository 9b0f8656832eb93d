import Drawing
import Foundation
import SparseTraining

/// A run over its steps as a picture: losses, and what its answers showed.
struct TrainingCurves {
    private let lines: [TrainingLog.Line]

    /// Points of a curve at most; a point is the mean of the steps it stands for.
    private static let points = 240
    private static let width = 900.0

    init(_ log: TrainingLog) {
        lines = log.lines
    }

    private typealias Series = (name: String, colour: String, value: (TrainingLog.Line) -> Double?)

    /// What is drawn, from above: title, unit and curves.
    private static var contents: [(title: String, unit: String, series: [Series])] {
        [
            (
                "Model: loss in nats a token", "nats",
                [
                    ("all tokens", Drawing.Colour.dense, \.loss),
                    ("answers", Drawing.Colour.needle, \.answerLoss),
                ]
            ),
            (
                "Indexers: Kullback-Leibler divergence in nats a token, added over layers", "nats",
                [("indexers", Drawing.Colour.sparse, \.indexerLoss)]
            ),
            (
                "Answers: reward, and share of right ones", "share",
                [
                    ("reward", Drawing.Colour.sparse, \.policy?.reward),
                    ("right", Drawing.Colour.needle, \.policy?.accuracy),
                ]
            ),
            (
                "Answers: entropy, and divergence from the stage's beginning, in nats a token", "nats",
                [
                    ("entropy", Drawing.Colour.dense, \.policy?.entropy),
                    ("divergence", Drawing.Colour.needle, \.policy?.divergence),
                ]
            ),
            (
                "Answers: length in tokens", "tokens",
                [("length", Drawing.Colour.sparse, \.policy?.answerTokens)]
            ),
            (
                "Selection: share of the rollout's tokens that training would select, too", "share",
                [("overlap", Drawing.Colour.sparse, \.policy?.selectionOverlap)]
            ),
            (
                "Experts: how far the busiest is above the mean, as a share of it", "share",
                [("experts", Drawing.Colour.needle, \.expertViolation)]
            ),
        ]
    }

    private static let (top, step, height) = (60.0, 340.0, 240.0)

    /// The picture: a panel for each thing the log tells of.
    var svg: String {
        let told = Self.contents.filter { content in
            content.series.contains { series in lines.contains { series.value($0) != nil } }
        }
        var drawing = Drawing(
            width: Self.width,
            height: Self.top + Double(max(told.count, 1)) * Self.step - 40,
            title: "A training run, step by step"
        )
        for (index, content) in told.enumerated() {
            let panel = panel(content, top: Self.top + Double(index) * Self.step)
            drawStages(of: panel, in: &drawing)
            panel.draw(in: &drawing)
            let corner = CGPoint(x: Self.width - 230, y: panel.frame.minY - 12)
            Panel.legend(panel.curves, from: corner, in: &drawing)
        }
        return drawing.svg
    }

    private func panel(_ content: (title: String, unit: String, series: [Series]), top: Double) -> Panel {
        let curves = content.series.map { name, colour, value in
            Panel.Curve(name, colour: colour, points: means(value).map { ($0.step, $0.mean, nil) })
        }
        let values = curves.flatMap { $0.points.map(\.y) }
        return Panel(
            content.title,
            x: .linear("steps", over: [Double(max(lines.count, 1))], from: 0),
            y: .linear(content.unit, over: values, from: min(0, values.min() ?? 0)),
            curves: curves,
            frame: CGRect(x: 70, y: top, width: Self.width - 110, height: Self.height)
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

import Drawing
import Foundation
import SparseTraining

/// Outcome, length and consistency over the weights, means over tasks.
struct TradeOffCurves {
    private let rows: [TradeOffRun.Row]
    private let part: RewardWeights.Part

    init(_ rows: [TradeOffRun.Row], part: RewardWeights.Part) {
        (self.rows, self.part) = (rows.filter { $0.weight != nil }, part)
    }

    private typealias Content = (
        title: String, unit: String, colour: String, value: (AnswerMeasures) -> Double?
    )

    /// What is drawn, from above.
    private static var contents: [Content] {
        [
            ("How right answers are", "outcome", Drawing.Colour.needle, \.outcome),
            ("Tokens of an answer", "tokens", Drawing.Colour.sparse, \.answerTokens),
            (
                "Words in the question's language", "share", Drawing.Colour.dense,
                \.languageConsistency
            ),
        ]
    }

    /// The picture.
    var svg: String {
        var drawing = Drawing(
            width: 900,
            height: 60 + Double(Self.contents.count) * 320,
            title: "Weights of \(part.rawValue) in the reward"
        )
        for (index, content) in Self.contents.enumerated() {
            let points = rows.compactMap { row -> (x: Double, y: Double, note: String?)? in
                let values = row.tasks.values.compactMap(content.value)
                guard !values.isEmpty else { return nil }
                let mean = values.reduce(0, +) / Double(values.count)
                return (Double(row.weight ?? 0), mean, String(format: "%.3f", mean))
            }
            Panel(
                content.title,
                x: .linear("weight of \(part.rawValue)", over: points.map(\.x), from: 0),
                y: .linear(content.unit, over: points.map(\.y), from: 0),
                curves: [Panel.Curve(content.unit, colour: content.colour, points: points)],
                frame: CGRect(x: 70, y: 60 + Double(index) * 320, width: 790, height: 220)
            ).draw(in: &drawing)
        }
        return drawing.svg
    }
}

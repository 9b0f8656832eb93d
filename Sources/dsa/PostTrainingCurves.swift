import Drawing
import Foundation
import SparseTraining

/// The rewards of all parts that learn from their own answers, sparse attention beside dense: a panel a part.
struct PostTrainingCurves {
    /// A run's rewards over the steps of a part.
    private typealias Rewards = [Double]

    private let parts: [(name: String, sparse: [Rewards], dense: [Rewards])]

    private static let (width, top, step, height) = (900.0, 60.0, 320.0, 220.0)
    /// Points of a curve at most; a point is the mean of the steps it stands for.
    private static let points = 60

    /// - Throws: as `TrainingLog`.
    init(_ study: PostTrainingStudy) throws {
        var parts: [(name: String, sparse: [Rewards], dense: [Rewards])] = []
        for run in study.runs {
            for (part, log) in try run.run.logs {
                let rewards = log.lines.compactMap(\.policy?.reward)
                guard !rewards.isEmpty else { continue }
                if !parts.contains(where: { $0.name == part }) { parts.append((part, [], [])) }
                guard let index = parts.firstIndex(where: { $0.name == part }) else { continue }
                if run.attention == .dense {
                    parts[index].dense.append(rewards)
                } else {
                    parts[index].sparse.append(rewards)
                }
            }
        }
        self.parts = parts
    }

    /// The picture.
    var svg: String {
        var drawing = Drawing(
            width: Self.width,
            height: Self.top + Double(max(parts.count, 1)) * Self.step,
            title: "Post-training: rewards, step by step"
        )
        for (index, part) in parts.enumerated() {
            let curves = [
                Panel.Curve("sparse", colour: Drawing.Colour.sparse, points: Self.mean(part.sparse)),
                Panel.Curve("dense", colour: Drawing.Colour.dense, points: Self.mean(part.dense)),
            ].filter { !$0.points.isEmpty }
            let values = curves.flatMap { $0.points.map(\.y) }
            let panel = Panel(
                "\(part.name): reward of the model's own answers" + Self.runs(part.sparse.count),
                x: .linear(
                    "steps",
                    over: [Double((part.sparse + part.dense).map(\.count).max() ?? 1)],
                    from: 0
                ),
                y: .linear("reward", over: values, from: min(0, values.min() ?? 0)),
                curves: curves,
                frame: CGRect(
                    x: 70,
                    y: Self.top + Double(index) * Self.step,
                    width: Self.width - 110,
                    height: Self.height
                )
            )
            panel.draw(in: &drawing)
            let corner = CGPoint(x: Self.width - 230, y: panel.frame.minY - 12)
            Panel.legend(panel.curves, from: corner, in: &drawing)
        }
        return drawing.svg
    }

    private static func runs(_ count: Int) -> String { count > 1 ? ", mean over \(count) runs" : "" }

    /// The mean over runs, of equal numbers of steps each.
    private static func mean(_ runs: [Rewards]) -> [(x: Double, y: Double, note: String?)] {
        let steps = runs.map(\.count).max() ?? 0
        let size = max(1, (steps + points - 1) / points)
        return stride(from: 0, to: steps, by: size).map { start in
            let values = runs.flatMap { $0.dropFirst(start).prefix(size) }
            let mean = values.reduce(0, +) / Double(max(values.count, 1))
            return (Double(start) + Double(size) / 2, mean, nil)
        }
    }
}

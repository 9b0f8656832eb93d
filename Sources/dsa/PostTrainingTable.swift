import Foundation
import SparseTraining

/// How right each model's answers are, a column a task.
struct PostTrainingTable {
    private let rows: [PostTrainingStudy.Row]

    private static let (nameWidth, cellWidth) = (24, 15)

    init(_ rows: [PostTrainingStudy.Row]) {
        self.rows = rows
    }

    /// The table, columns in line.
    var text: String {
        let tasks = Set(rows.flatMap(\.outcomes.keys)).sorted()
        let hasControl = Set(rows.map(\.attention)).count > 1
        let head = line("outcome", tasks + ["mean", "tokens"])
        let lines = rows.map { row in
            let outcomes = tasks.compactMap { row.outcomes[$0] }
            let mean = outcomes.reduce(0) { $0 + $1.mean } / Double(max(outcomes.count, 1))
            return line(
                hasControl ? "\(row.model), \(row.attention.rawValue)" : row.model,
                tasks.map { row.outcomes[$0].map { Self.figure($0, scale: 100, unit: " %") } ?? "-" }
                    + [
                        String(format: "%.1f %%", 100 * mean),
                        Self.figure(row.answerTokens, scale: 1, unit: ""),
                    ]
            )
        }
        return ([head] + lines).joined(separator: "\n")
    }

    private func line(_ name: String, _ cells: [String]) -> String {
        name.padding(toLength: Self.nameWidth, withPad: " ", startingAt: 0)
            + cells.map { String(repeating: " ", count: max(1, Self.cellWidth - $0.count)) + $0 }.joined()
    }

    /// The mean, with the deviation where there are several runs.
    private static func figure(_ spread: Spread, scale: Double, unit: String) -> String {
        let mean = String(format: "%.1f", scale * spread.mean)
        guard spread.deviation > 0 else { return mean + unit }
        return mean + String(format: " ± %.1f", scale * spread.deviation) + unit
    }
}

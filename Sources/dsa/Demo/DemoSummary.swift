import Foundation
import SparseTraining

/// The figures of a demonstration: what `--json` prints.
struct DemoSummary: Codable {
    /// Tokens of the document.
    let length: Int
    /// Tokens the indexer selects.
    let k: Int
    /// Questions asked.
    let questions: Int
    /// Right answers with dense attention; nil when the answers are not known.
    let denseCorrect: Int?
    /// Right answers with sparse attention.
    let sparseCorrect: Int?
    /// Share of dense attention the selection kept; nil for documents no longer than twice k.
    let attentionMassKept: Double?
    /// What the last k tokens would have kept.
    let attentionMassOfWindow: Double?
    /// What the best k tokens would have kept.
    let attentionMassOfBest: Double?
    /// Seconds the document took.
    let prefillSeconds: Demonstration.Pair
    /// Seconds a question with its answer took, in the mean.
    let answerSeconds: Demonstration.Pair
    /// Bytes of one session's caches.
    let cacheBytes: Int
    /// The most memory held while reading and answering.
    let peakMemoryBytes: Int
    /// Milliseconds a token takes by position.
    let costs: [Demonstration.Cost]

    init(_ report: Demonstration.Report) {
        let isKnown = report.answers.contains { $0.expected != nil }
        let count = Double(max(report.answers.count, 1))
        length = report.length
        k = report.k
        questions = report.answers.count
        denseCorrect = isKnown ? report.answers.count { $0.isDenseCorrect == true } : nil
        sparseCorrect = isKnown ? report.answers.count { $0.isSparseCorrect == true } : nil
        attentionMassKept = report.mass?.mean.selected
        attentionMassOfWindow = report.mass?.mean.window
        attentionMassOfBest = report.mass?.mean.best
        prefillSeconds = report.prefillSeconds
        answerSeconds = Demonstration.Pair(
            dense: report.answers.reduce(0) { $0 + $1.seconds.dense } / count,
            sparse: report.answers.reduce(0) { $0 + $1.seconds.sparse } / count
        )
        cacheBytes = report.cacheBytes
        peakMemoryBytes = report.peakMemoryBytes
        costs = report.costs
    }

    /// As lines for a terminal.
    func table(_ report: Demonstration.Report) -> String {
        var lines: [String] = []
        for answer in report.answers {
            lines.append(answer.question)
            lines.append("  dense   \(answer.dense)\(Self.verdict(answer.isDenseCorrect))")
            lines.append("  sparse  \(answer.sparse)\(Self.verdict(answer.isSparseCorrect))")
        }
        lines.append("")
        lines += rows.map { row in
            Self.column(row.name, 30, isLeft: true) + Self.column(row.dense, 14) + Self.column(row.sparse, 14)
        }
        return lines.joined(separator: "\n")
    }

    /// The figures, dense beside sparse.
    var rows: [(name: String, dense: String, sparse: String)] {
        func pair(_ pair: Demonstration.Pair, _ unit: String, _ factor: Double = 1) -> (String, String) {
            (
                String(format: "%.2f \(unit)", factor * pair.dense),
                String(format: "%.2f \(unit)", factor * pair.sparse)
            )
        }
        func row(_ name: String, _ values: (String, String)) -> (name: String, dense: String, sparse: String)
        {
            (name, values.0, values.1)
        }
        var rows = [row("", ("dense", "sparse"))]
        if let denseCorrect, let sparseCorrect {
            rows.append(
                row("right answers", ("\(denseCorrect) / \(questions)", "\(sparseCorrect) / \(questions)"))
            )
        }
        rows.append(row("reading the document", pair(prefillSeconds, "s")))
        rows.append(row("a question and its answer", pair(answerSeconds, "ms", 1000)))
        if let last = costs.last {
            rows.append(row("a token at \(last.position)", pair(last.decode, "ms")))
        }
        rows.append(row("tokens attended to, at most", ("\(length)", "\(min(k, length))")))
        if let attentionMassKept, let attentionMassOfWindow, let attentionMassOfBest {
            rows.append(row("attention kept by the indexer", ("100 %", Self.percent(attentionMassKept))))
            rows.append(row("  by the last k tokens", ("", Self.percent(attentionMassOfWindow))))
            rows.append(row("  by the best k tokens", ("", Self.percent(attentionMassOfBest))))
        }
        rows.append(row("caches of a session", ("", Terminal.bytes(cacheBytes))))
        rows.append(row("peak memory, both sessions", ("", Terminal.bytes(peakMemoryBytes))))
        return rows
    }

    static func verdict(_ isCorrect: Bool?) -> String {
        isCorrect.map { $0 ? "  right" : "  wrong" } ?? ""
    }

    private static func percent(_ share: Double) -> String { String(format: "%.1f %%", 100 * share) }

    private static func column(_ text: String, _ width: Int, isLeft: Bool = false) -> String {
        let room = String(repeating: " ", count: max(0, width - text.count))
        return isLeft ? text + room : room + text
    }
}

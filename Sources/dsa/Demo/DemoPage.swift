import Drawing
import Foundation
import SparseTraining

/// A demonstration as a page: the answers, where the indexer looked for them, and what a token costs.
struct DemoPage {
    private let report: Demonstration.Report
    private let text: String

    /// Parts of the document that a picture tells apart.
    private static let bins = 240
    private static let width = 1040.0
    private static let left = 150.0
    private static let row = 11.0

    init(_ report: Demonstration.Report, text: String) {
        self.report = report
        self.text = text
    }

    /// The page.
    var html: String {
        let answers = report.answers.map { answer in
            """
            <section><h2>\(Drawing.escaped(answer.question))</h2>
            <p>dense: <b class="\(Self.style(answer.isDenseCorrect))">\(Drawing.escaped(answer.dense))</b> ·
            sparse: <b class="\(Self.style(answer.isSparseCorrect))">\(Drawing.escaped(answer.sparse))</b></p>
            \(map(of: answer))</section>
            """
        }
        let rows = DemoSummary(report).rows.map { row in
            "<tr><th>\(Drawing.escaped(row.name))</th><td>\(row.dense)</td><td>\(row.sparse)</td></tr>"
        }
        return """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>Where the indexer looked</title><style>
            body { font: 15px/1.5 Helvetica, sans-serif; color: \(Drawing.Colour.ink); max-width: 1080px; margin: 2em auto; }
            td { text-align: right; padding: 0 0 0 2em; } th { text-align: left; font-weight: normal; }
            h2 { font-size: 16px; margin: 1.6em 0 0; } p { margin: .2em 0; }
            .right { color: \(Drawing.Colour.needle); } .wrong { color: \(Drawing.Colour.dense); }
            details { max-height: 24em; overflow: auto; color: \(Drawing.Colour.quiet); }
            </style></head><body>
            <h1>Where the indexer looked</h1>
            <p>A document of \(report.length) tokens was read once; for each token of an answer every layer's indexer \
            chose \(min(report.k, report.length)) of them. Each row is a layer, each column a stretch of the document: the \
            darker, the larger the share of it that was chosen. Green marks where the answer is.</p>
            <table>\(rows.joined(separator: "\n"))</table>
            \(answers.joined(separator: "\n"))
            <h2>What a token costs</h2>
            \(costCurve)
            <details><summary>The document</summary><p>\(Drawing.escaped(text))</p></details>
            </body></html>

            """
    }

    private static func style(_ isCorrect: Bool?) -> String { isCorrect.map { $0 ? "right" : "wrong" } ?? "" }

    // MARK: Where the indexer looked

    /// A row for each token of the answer and layer, over the positions of the document.
    private func map(of answer: Demonstration.Answer) -> String {
        let rows = answer.looks.reduce(0) { $0 + $1.layers.count }
        let height = 34 + Double(rows) * Self.row + Double(answer.looks.count) * 4
        var drawing = Drawing(width: Self.width, height: height, title: "Selections for: \(answer.question)")
        let bins = min(Self.bins, max(report.length, 1))
        let plot = CGRect(x: Self.left, y: 6, width: Self.width - Self.left - 20, height: height - 30)
        var y = plot.minY
        for look in answer.looks {
            let found = String(format: "%.0f %%", 100 * look.share(of: answer.needles))
            let label = answer.needles.isEmpty ? "“\(look.token)”" : "“\(look.token)” \(found)"
            drawing.text(label, at: CGPoint(x: 4, y: y + Self.row), size: 11)
            for (layer, positions) in look.layers.enumerated() {
                for stretch in stretches(of: positions, bins: bins) where stretch.share > 0 {
                    let frame = CGRect(
                        x: plot.minX + plot.width * Double(stretch.bins.lowerBound) / Double(bins),
                        y: y,
                        width: plot.width * Double(stretch.bins.count) / Double(bins),
                        height: Self.row - 1
                    )
                    let note = String(
                        format:
                            "layer \(layer), from token \(stretch.bins.lowerBound * report.length / bins): %.0f %%",
                        100 * stretch.share
                    )
                    drawing.box(frame, colour: Drawing.Colour.sparse, opacity: stretch.share, note: note)
                }
                y += Self.row
            }
            y += 4
        }
        for needle in answer.needles {
            let x = plot.minX + plot.width * Double(needle.lowerBound) / Double(max(report.length, 1))
            let frame = CGRect(x: x - 1, y: plot.minY - 4, width: 2.5, height: y - plot.minY + 4)
            drawing.box(
                frame,
                colour: Drawing.Colour.needle,
                note: "the answer, from token \(needle.lowerBound)"
            )
        }
        for (share, anchor) in [(0.0, Drawing.Anchor.start), (0.5, .middle), (1, .end)] {
            let name = "\(Int(share * Double(report.length)))"
            let place = CGPoint(x: plot.minX + share * plot.width, y: height - 6)
            drawing.text(name, at: place, size: 11, colour: Drawing.Colour.quiet, anchor: anchor)
        }
        return drawing.svg
    }

    /// What share of each stretch of the document was chosen, in tenths; neighbours of one share are one stretch.
    private func stretches(of positions: [Int32], bins: Int) -> [(bins: Range<Int>, share: Double)] {
        var counts = [Int](repeating: 0, count: bins)
        for position in positions where Int(position) < report.length {
            counts[Int(position) * bins / report.length] += 1
        }
        var stretches: [(bins: Range<Int>, share: Double)] = []
        for (bin, count) in counts.enumerated() {
            // The least that is seen at all is a tenth.
            let share = (10 * min(1, Double(count * bins) / Double(report.length))).rounded(.up) / 10
            if let last = stretches.last, last.share == share {
                stretches[stretches.count - 1].bins = last.bins.lowerBound..<bin + 1
            } else {
                stretches.append((bin..<bin + 1, share))
            }
        }
        return stretches
    }

    // MARK: What it costs

    private var costCurve: String {
        guard report.costs.count > 1 else { return "" }
        let positions = report.costs.map { Double($0.position) }
        let x = Axis(
            "tokens in the sequence",
            (positions.min() ?? 1)...(positions.max() ?? 1),
            isLogarithmic: true,
            ticks: report.costs.map { (Double($0.position), "\($0.position)") }
        )
        var drawing = Drawing(width: Self.width, height: 430, title: "What a token costs by position")
        let kinds: [(String, KeyPath<Demonstration.Cost, Demonstration.Pair>)] = [
            ("A token of an answer", \.decode), ("A token of the document", \.prefill),
        ]
        for (index, (title, kind)) in kinds.enumerated() {
            let curves = [
                curve("dense", Drawing.Colour.dense, kind.appending(path: \.dense)),
                curve("sparse", Drawing.Colour.sparse, kind.appending(path: \.sparse)),
            ]
            let values = curves.flatMap { $0.points.map(\.y) }
            let frame = CGRect(x: 70 + 520 * Double(index), y: 60, width: 430, height: 310)
            let y = Axis.logarithmic("ms per token", around: values)
            Panel(title, x: x, y: y, curves: curves, frame: frame).draw(in: &drawing)
            if index == 0 {
                Panel.legend(curves, from: CGPoint(x: Self.width - 220, y: 24), in: &drawing)
            }
        }
        return drawing.svg
    }

    private func curve(
        _ name: String,
        _ colour: String,
        _ value: KeyPath<Demonstration.Cost, Double>
    ) -> Panel.Curve {
        Panel.Curve(
            name,
            colour: colour,
            points: report.costs.map { cost in
                let milliseconds = cost[keyPath: value]
                return (
                    Double(cost.position), milliseconds,
                    "\(name) at \(cost.position): \(Axis.name(milliseconds)) ms"
                )
            }
        )
    }
}

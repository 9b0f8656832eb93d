import ArgumentParser
import Drawing
import Foundation
import SparseInference
import SparseTraining

/// `dsa compare`: dense against sparse on one's own text.
struct CompareCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compare",
        abstract: "Compare dense with sparse attention on a text.",
        discussion: """
            Reads a text both ways and tells how far predictions are apart, and how much of each head's attention the indexer's \
            selection keeps, beside the best, the last and a random set of as many tokens. For the random set no dice are thrown: \
            the mean over all sets of k out of n visible tokens is k / n, exactly.

              dsa compare --model MODEL --text book.txt --page compare.html
              dsa compare --model demo --length 8K --json            # on a text of the recipe's tasks
            """
    )

    @OptionGroup var modelOptions: ModelOptions

    @Option(help: ArgumentHelp("The text.", valueName: "file"))
    var text: String?

    @Option(help: "Tokens of the text at most, such as 8K.", transform: TokenCount.parse)
    var length: Int?

    @Option(help: ArgumentHelp("Write a page with heat maps.", valueName: "file"))
    var page: String?

    @Flag(help: "Print a JSON document.")
    var json = false

    func run() throws {
        let model = try modelOptions.load()
        let tokens = try tokens(model)
        let progress = WorkProgress("both have read", of: tokens.count)
        let report = try AttentionComparison(model).run(tokens) { progress.show($0) }
        Terminal.clearProgress()
        if json {
            print(try Terminal.json(report))
        } else {
            print(Self.table(report))
        }
        if let page {
            try Data(ComparePage(report).html.utf8).write(to: URL(fileURLWithPath: page), options: .atomic)
        }
    }

    private func tokens(_ model: LanguageModel) throws -> [Int] {
        guard let text else {
            try TaskEvaluation.requireVocabulary(of: model)
            let length = length ?? min(8192, model.configuration.maxPositions)
            guard length >= 64 else { throw ValidationError("--length must be at least 64.") }
            return TaskStream(seed: 1, split: .evaluation).document(0, length: length).tokens
        }
        let content = try Terminal.text(of: text)
        guard let tokenizer = model.tokenizer else { throw SparseInferenceError.request(.noTokenizer) }
        return Array(tokenizer.encode(content, addingSpecialTokens: true).prefix(length ?? .max))
    }

    /// What the column of the random set says.
    fileprivate static let randomSet = "the exact mean over all sets of k visible tokens, k / visible"

    private static func table(_ report: AttentionComparison.Report) -> String {
        let whole = report.whole
        var lines = [
            "\(report.length) tokens, k = \(report.k)", "",
            String(format: "divergence of predictions    %.4f nats", whole.divergence),
            String(format: "same most likely token       %.1f %%", 100 * whole.agreement),
            String(
                format: "perplexity dense, sparse     %.4f, %.4f",
                whole.densePerplexity,
                whole.sparsePerplexity
            ),
        ]
        guard !report.layers.isEmpty else {
            return (lines + ["", "nothing to choose: the text is no longer than k"]).joined(separator: "\n")
        }
        lines += [
            "", "attention kept, in percent", "  layer  selected    best  window  random    worst head",
        ]
        lines += report.layers.map { layer in
            let worst = layer.heads.min() ?? 0
            let head = layer.heads.firstIndex(of: worst) ?? 0
            return String(format: "%7d", layer.layer)
                + [layer.selected, layer.best, layer.window, layer.random].enumerated().map {
                    String(format: $0 == 0 ? "%10.1f" : "%8.1f", 100 * $1)
                }.joined() + String(format: "%10.1f (%d)", 100 * worst, head)
        }
        lines += ["", "random: \(randomSet)"]
        return lines.joined(separator: "\n")
    }
}

/// A comparison as a page with heat maps.
private struct ComparePage {
    private let report: AttentionComparison.Report

    init(_ report: AttentionComparison.Report) {
        self.report = report
    }

    var html: String {
        """
        <!DOCTYPE html>
        <html lang="en"><head><meta charset="utf-8"><title>Dense and sparse attention</title><style>
        body { font: 15px/1.5 Helvetica, sans-serif; color: \(Drawing.Colour.ink); max-width: 1080px; margin: 2em auto; }
        table { border-spacing: 1em 0; } caption { font-weight: bold; text-align: left; } td { text-align: right; }
        </style></head><body><h1>Dense and sparse attention</h1>
        <p>\(report.length) tokens, of which the indexer selects \(report.k).</p>
        \(curves)
        \(shares)
        \(heatMap(
            "Attention kept by the selection, by layer and head",
            report.layers.map { ($0.layer, $0.heads) },
            columns: "head"
        ))
        \(heatMap(
            "Attention kept by the selection, by layer and position",
            report.layers.map { ($0.layer, $0.stretches) },
            columns: "position"
        ))
        </body></html>

        """
    }

    /// What is kept by whom, as a table; nothing where nothing had to be chosen.
    private var shares: String {
        guard !report.layers.isEmpty else { return "" }
        let rows = report.layers.map { layer in
            let cells = [layer.selected, layer.best, layer.window, layer.random].map {
                String(format: "<td>%.1f</td>", 100 * $0)
            }
            return "<tr><th>\(layer.layer)</th>\(cells.joined())</tr>"
        }
        return """
            <table><caption>Attention kept by as many tokens, in percent</caption>
            <tr><th>layer</th><th>selected</th><th>best</th><th>window</th><th>random</th></tr>
            \(rows.joined(separator: "\n"))
            </table>
            <p>Random: \(CompareCommand.randomSet).</p>
            """
    }

    private var curves: String {
        var drawing = Drawing(width: 1040, height: 400, title: "Predictions by position")
        func points(_ value: (AttentionComparison.Stretch) -> Double) -> [(
            x: Double, y: Double, note: String?
        )] {
            report.stretches.map { (Double($0.end), value($0), "to \($0.end): \(Axis.name(value($0)))") }
        }
        let x = Axis.linear("position", over: [Double(report.length)], from: 0)
        let perplexities = [
            Panel.Curve("dense", colour: Drawing.Colour.dense, points: points(\.densePerplexity)),
            Panel.Curve("sparse", colour: Drawing.Colour.sparse, points: points(\.sparsePerplexity)),
        ]
        let divergence = Panel.Curve("divergence", colour: Drawing.Colour.ink, points: points(\.divergence))
        for (index, panel) in [("Perplexity", perplexities), ("Divergence of predictions", [divergence])]
            .enumerated()
        {
            let values = panel.1.flatMap { $0.points.map(\.y) }
            Panel(
                panel.0,
                x: x,
                y: .linear(index == 0 ? "" : "nats", over: values, from: 0),
                curves: panel.1,
                frame: CGRect(x: 70 + 520 * Double(index), y: 60, width: 430, height: 270)
            ).draw(in: &drawing)
        }
        Panel.legend(perplexities, from: CGPoint(x: 330, y: 30), in: &drawing)
        return drawing.svg
    }

    /// Rows of shares from 0 to 1, dark where little is kept.
    private func heatMap(_ title: String, _ rows: [(layer: Int, values: [Double?])], columns: String)
        -> String
    {
        let width = rows.map(\.values.count).max() ?? 0
        guard width > 0 else { return "" }
        let (cell, height) = (min(60, 900 / Double(width)), 26.0)
        var drawing = Drawing(width: 1040, height: 90 + height * Double(rows.count), title: title)
        drawing.text(title, at: CGPoint(x: 70, y: 28), size: 14, isBold: true)
        for (index, row) in rows.enumerated() {
            let y = 44 + height * Double(index)
            drawing.text("layer \(row.layer)", at: CGPoint(x: 62, y: y + 17), size: 11, anchor: .end)
            for (column, value) in row.values.enumerated() {
                guard let value else { continue }
                let frame = CGRect(x: 70 + cell * Double(column), y: y, width: cell - 1, height: height - 1)
                let note = String(format: "layer \(row.layer), \(columns) \(column): %.1f %%", 100 * value)
                drawing.box(frame, colour: Drawing.Colour.dense, opacity: max(0.03, 1 - value), note: note)
                guard cell >= 30 else { continue }
                let place = CGPoint(x: frame.midX, y: y + 17)
                drawing.text(String(format: "%.0f", 100 * value), at: place, size: 11, anchor: .middle)
            }
        }
        let end = CGPoint(x: 70, y: 66 + height * Double(rows.count))
        drawing.text(
            "\(columns) 0 … \(width - 1); numbers are percent",
            at: end,
            size: 11,
            colour: Drawing.Colour.quiet
        )
        return drawing.svg
    }
}

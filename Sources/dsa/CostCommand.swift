import ArgumentParser
import Drawing
import Foundation
import SparseInference

/// `dsa cost`: the executable cost model.
struct CostCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cost",
        abstract: "Tell what a token costs by its position, dense against sparse.",
        discussion: """
            Counts operations and bytes from a config.json, divides them by what a device reaches, and tells seconds and USD \
            for a million tokens, where the curves cross, and where the indexer overtakes the attention. By default the device \
            is the H800 of the V3.2-Exp report's Figure 3; --peak, --memory and --price describe another one, for instance \
            with the ceilings that dsa-bench measures on this machine.

              dsa cost deepseek-v3.2/config.json
              dsa cost config.json --peak 450 --memory 30 --price 0.10 --svg cost.svg
              dsa cost config.json --top-k 1024 --share 4        # what a change of the indexer would save
            """
    )

    @Argument(help: ArgumentHelp("A config.json, a folder with one, or a model's name.", valueName: "model"))
    var model: String

    @Option(help: "Positions, such as 1K,8K,128K.", transform: TokenCount.parseList)
    var positions = [1024, 2048, 4096, 8192, 16384, 32768, 65536, 131_072]

    @Option(help: "What products reach on the device, in GFLOP/s; the H800 of the report when not given.")
    var peak: Double?

    @Option(help: "What reading memory reaches, in GB/s.")
    var memory: Double?

    @Option(help: "What an hour costs, in USD.")
    var price: Double?

    @Option(help: "With --peak: sequences that share one reading of the weights while decoding.")
    var batch = 1.0

    @Option(help: "With --peak: bytes of a weight.")
    var weightBytes = 4.0

    @Option(help: "Suppose that the indexer selects so many tokens.")
    var topK: Int?

    @Option(help: "Suppose that it has so many heads.")
    var indexHeads: Int?

    @Option(help: "Suppose that so many layers share one selection.")
    var share: Int?

    @Flag(help: "Suppose that index scores are bfloat16 instead of FP8.")
    var bfloat16Indexer = false

    @Option(help: ArgumentHelp("Write the curves as SVG.", valueName: "file"))
    var svg: String?

    @Flag(help: "Print a JSON document.")
    var json = false

    func validate() throws {
        guard (peak == nil) == (memory == nil) else {
            throw ValidationError("--peak and --memory belong together.")
        }
        let numbers = [peak, memory, price, batch, weightBytes].compactMap { $0 }
        guard numbers.allSatisfy({ $0 > 0 && $0.isFinite }) else {
            throw ValidationError("Rates, prices, --batch and --weight-bytes must be positive numbers.")
        }
        guard [topK, indexHeads, share].compactMap({ $0 }).allSatisfy({ (1...1 << 20).contains($0) }) else {
            throw ValidationError("--top-k, --index-heads and --share must be at least 1.")
        }
    }

    func run() throws {
        let configuration = try ModelConfiguration(contentsOf: configurationFile)
        let cost = try TokenCost(
            configuration,
            on: rates,
            with: .init(
                topK: topK,
                heads: indexHeads,
                layersPerSelection: share,
                isBFloat16: bfloat16Indexer
            )
        )
        let report = try CostReport(cost, device: rates.name, positions: positions)
        if json {
            print(try Terminal.json(report))
        } else {
            print(report.table)
        }
        if let svg { try Data(report.svg.utf8).write(to: URL(fileURLWithPath: svg), options: .atomic) }
    }

    private var configurationFile: URL {
        get throws {
            guard !model.hasSuffix(".json") else { return URL(fileURLWithPath: model) }
            return try ModelLocationOption.folder(of: model).appendingPathComponent("config.json")
        }
    }

    private var rates: DeviceRates {
        guard let peak, let memory else {
            var rates = DeviceRates.h800
            rates.dollarsPerHour = price ?? rates.dollarsPerHour
            return rates
        }
        return DeviceRates(
            name: String(format: "%.0f GFLOP/s, %.0f GB/s", peak, memory),
            peak: peak * 1e9,
            memory: memory * 1e9,
            dollarsPerHour: price ?? 1,
            batch: batch,
            weightBytes: weightBytes
        )
    }
}

/// What `dsa cost` tells.
private struct CostReport: Encodable {
    let device: String
    let rows: [TokenCost.Row]
    let prefillCrossing: Int?
    let decodeCrossing: Int?
    let indexerOvertakes: Int?

    init(_ cost: TokenCost, device: String, positions: [Int]) throws {
        self.device = device
        rows = try positions.sorted().flatMap { position in
            try TokenCost.Phase.allCases.flatMap { phase in
                try [false, true].map { try cost.row(at: position, phase, isSparse: $0) }
            }
        }
        prefillCrossing = try cost.sparseOvertakes(.prefill)
        decodeCrossing = try cost.sparseOvertakes(.decode)
        indexerOvertakes = cost.indexerOvertakes
    }

    private func rows(_ phase: TokenCost.Phase, isSparse: Bool) -> [TokenCost.Row] {
        rows.filter { $0.phase == phase && $0.isSparse == isSparse }
    }

    var table: String {
        var lines = ["USD for a million tokens by position, on \(device)", ""]
        lines.append(
            "  position   prefill dense    sparse   ratio   decode dense    sparse   ratio   GFLOP dense    sparse"
        )
        let columns = TokenCost.Phase.allCases.map { (rows($0, isSparse: false), rows($0, isSparse: true)) }
        for index in columns[0].0.indices {
            var line = String(format: "%10d", columns[0].0[index].position)
            for (phase, (dense, sparse)) in columns.enumerated() where !sparse.isEmpty {
                let (first, second) = (dense[index].dollarsPerMillion, sparse[index].dollarsPerMillion)
                line += String(
                    format: phase == 0 ? "%16.4g%10.4g%8.2f" : "%15.4g%10.4g%8.2f",
                    first,
                    second,
                    first / second
                )
            }
            if let dense = columns.last?.0[index], let sparse = columns.last?.1.dropFirst(index).first {
                line += String(format: "%14.4g%10.4g", dense.operations / 1e9, sparse.operations / 1e9)
            }
            lines.append(line)
        }
        func tell(_ what: String, _ position: Int?) {
            lines.append(
                "\(what): \(position.map { "from \($0) tokens on" } ?? "nowhere up to 1,048,576 tokens")"
            )
        }
        lines.append("")
        tell("sparse prefill is cheaper", prefillCrossing)
        tell("sparse decode is cheaper", decodeCrossing)
        tell("index scores take more operations than the selected tokens' attention", indexerOvertakes)
        return lines.joined(separator: "\n")
    }

    var svg: String {
        let title = "What a token costs by position, on \(device)"
        var drawing = Drawing(width: 1040, height: 450, title: title)
        drawing.text(title, at: CGPoint(x: 28, y: 34), size: 18, isBold: true)
        for (index, phase) in TokenCost.Phase.allCases.enumerated() {
            let curves = [("dense", Drawing.Colour.dense, false), ("sparse", Drawing.Colour.sparse, true)].map
            {
                name,
                colour,
                isSparse in
                Panel.Curve(
                    name,
                    colour: colour,
                    points: rows(phase, isSparse: isSparse).map {
                        let note = "\(name) at \($0.position): \(Axis.name($0.dollarsPerMillion)) USD"
                        return (Double($0.position), $0.dollarsPerMillion, note)
                    }
                )
            }
            let points = curves.flatMap(\.points)
            let last = points.map(\.x).max() ?? 1
            let panel = Panel(
                phase == .prefill ? "Prefill" : "Decode",
                x: .linear("token position", over: [last], from: 0),
                y: .linear("USD for a million tokens", over: points.map(\.y), from: 0),
                curves: curves,
                frame: CGRect(x: 80 + 500 * Double(index), y: 80, width: 420, height: 300)
            )
            panel.draw(in: &drawing)
            if index == 1 { Panel.legend(curves, from: CGPoint(x: 860, y: 34), in: &drawing) }
        }
        return drawing.svg
    }
}

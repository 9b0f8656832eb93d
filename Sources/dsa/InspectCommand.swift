import ArgumentParser
import Foundation
import SparseAttention
import SparseInference

/// `dsa inspect`: what is in a checkpoint, and what it takes to run.
struct InspectCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "inspect",
        abstract: "Tell what is in a checkpoint and what it takes to run.",
        discussion: """
            Reads config.json and the headers of the weight files; no weight is loaded. Without weight files it tells \
            what the configuration alone says.

            Operations are counted for one decoded token, a multiplication and an addition as two, each attention in \
            the cheaper of its two forms.

              dsa inspect --model demo
            """
    )

    @OptionGroup var location: ModelLocationOption

    @Flag(help: "Print a JSON document.")
    var json = false

    func run() throws {
        let report = try InspectReport(location.folder)
        if json {
            print(try Terminal.json(report))
        } else {
            Terminal.write(report.table)
        }
    }
}

/// What `dsa inspect` tells.
struct InspectReport: Encodable {
    /// Operations of the token at one position.
    struct Row: Encodable {
        let position: Int
        let linear: Double
        let denseAttention: Double
        let sparseAttention: Double
        let indexer: Double
        let denseOverSparse: Double
    }

    let family: String
    let layers: Int
    let denseLayers: Int
    let hiddenDim: Int
    let heads: Int
    let vocabularySize: Int
    let maxPositions: Int
    let experts: String
    let indexer: String
    let tensors: Int?
    let parameters: Int?
    let weightBytes: Int?
    let bytesByDataType: [String: Int]
    let activeParameters: Int
    let cacheBytesPerToken: [String: Int]
    let operations: [Row]

    init(_ folder: URL) throws {
        let configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        let cost = ModelCost(configuration)
        family = configuration.family.rawValue
        layers = configuration.layers
        denseLayers = (0..<configuration.layers).count { configuration.isDense(layer: $0) }
        hiddenDim = configuration.hiddenDim
        heads = configuration.heads
        vocabularySize = configuration.vocabularySize
        maxPositions = configuration.maxPositions
        experts =
            "\(configuration.routedExperts) routed, \(configuration.expertsPerToken) a token, "
            + "\(configuration.sharedExperts) shared"
        indexer =
            configuration.indexer.map { "\($0.heads) heads of \($0.headDim), top \($0.topK) tokens" }
            ?? "none: dense attention"
        activeParameters = cost.activeParameters
        cacheBytesPerToken = Dictionary(
            uniqueKeysWithValues: CacheFormat.allCases.map { ($0.rawValue, cost.cacheBytesPerToken($0)) }
        )
        operations = try Self.rows(cost, maxPositions: configuration.maxPositions)
        let entries = try Self.entries(folder)
        tensors = entries?.count
        parameters = entries?.reduce(0) { $0 + $1.elementCount }
        weightBytes = entries?.reduce(0) { $0 + $1.byteCount }
        bytesByDataType = Dictionary(
            (entries ?? []).map { ($0.dataType.rawValue, $0.byteCount) },
            uniquingKeysWith: +
        )
    }

    private static func entries(_ folder: URL) throws -> [TensorEntry]? {
        do {
            let checkpoint = try Checkpoint(contentsOf: folder)
            return checkpoint.names.compactMap(checkpoint.entry)
        } catch .checkpoint(_, .noWeights) {
            return nil
        } catch {
            throw error
        }
    }

    private static func rows(_ cost: ModelCost, maxPositions: Int) throws -> [Row] {
        let positions = (10...20).map { 1 << $0 }.filter { $0 <= maxPositions }
        return try (positions.isEmpty ? [maxPositions] : positions).map { position in
            let dense = try cost.operations(visible: position, mode: .dense)
            let sparse = try cost.operations(visible: position, mode: .sparse)
            return Row(
                position: position,
                linear: dense.linear,
                denseAttention: dense.attention,
                sparseAttention: sparse.attention,
                indexer: sparse.indexer,
                denseOverSparse: dense.total / sparse.total
            )
        }
    }
}

// MARK: - Table

extension InspectReport {
    /// The report for people.
    var table: String {
        var lines = [
            "family         \(family)",
            "layers         \(layers), of which \(denseLayers) without experts",
            "sizes          hidden \(hiddenDim), \(heads) heads, vocabulary \(vocabularySize)",
            "experts        \(experts)",
            "indexer        \(indexer)",
            "positions      \(maxPositions)",
        ]
        if let tensors, let parameters, let weightBytes {
            let types = bytesByDataType.sorted { $0.key < $1.key }
                .map { "\($0.key) \(Terminal.bytes($0.value))" }
            lines += [
                "parameters     \(grouped(parameters)) in \(tensors) tensors, \(grouped(activeParameters)) active a token",
                "weights        \(Terminal.bytes(weightBytes)): \(types.joined(separator: ", "))",
            ]
        } else {
            lines.append("parameters     no weight files here; \(grouped(activeParameters)) active a token")
        }
        let caches = cacheBytesPerToken.sorted { $0.key < $1.key }
            .map {
                "\($0.key) \(grouped($0.value)) B (\(Terminal.bytes($0.value * maxPositions)) at full length)"
            }
        lines += [
            "cache a token  \(caches.joined(separator: ", "))",
            "",
            "operations to decode the token at a position, in GFLOP",
            "  position     linear  dense attention  sparse attention  index scores  dense / sparse",
        ]
        lines += operations.map { row in
            String(format: "%10d", row.position)
                + [
                    (row.linear, 11), (row.denseAttention, 17), (row.sparseAttention, 18), (row.indexer, 14),
                ].map { pad(number($0.0 / 1e9), $0.1) }.joined()
                + String(format: "%16.2f", row.denseOverSparse)
        }
        return lines.joined(separator: "\n") + "\n"
    }

    private func number(_ value: Double) -> String {
        value == 0 ? "0" : String(format: value < 0.01 ? "%.2g" : "%.3f", value)
    }

    private func pad(_ text: String, _ width: Int) -> String {
        String(repeating: " ", count: max(width - text.count, 1)) + text
    }

    private func grouped(_ number: Int) -> String {
        var digits = String(number)
        var groups: [String] = []
        while digits.count > 3 {
            groups.append(String(digits.suffix(3)))
            digits.removeLast(3)
        }
        return ([digits] + groups.reversed()).joined(separator: ",")
    }
}

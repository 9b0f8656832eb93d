import Foundation
package import SparseInference

/// Compares two dumps of the same forward pass, stage by stage in the order of computation.
package struct StageDiff: Encodable {
    /// How one stage compares.
    package struct Row: Encodable, Equatable {
        /// The tensor's name.
        package let name: String
        /// The tokens that were compared: after a near-tie fell two ways, those before it.
        package var tokens = 0
        /// What counts: see `StageNoise`.
        package var error = 0.0
        /// The largest error that counts as noise.
        package var bound = 0.0
        /// The length of the difference as a share of the length of theirs, at most 1.
        ///
        /// For lists and codes the share that differs. The measure in which a mistake explains a difference.
        package var misfit = 0.0
        /// The largest `|a − b|`; nil for lists and codes.
        package var largest: Double?
        /// The cosine of the two tensors; nil for lists.
        package var cosine: Double?
        /// How two selections differ.
        package var selection: SelectionComparison?
        /// What differs, in words; empty when nothing does.
        package var note = ""
        /// A likely cause.
        package var hint: String?

        /// Whether the difference is more than noise.
        package var diverges: Bool { !(error <= bound) }
    }

    /// The stages both files hold.
    package private(set) var rows: [Row] = []
    /// The stages only one file holds.
    package private(set) var skipped: [String] = []

    /// The first stage that differs by more than noise.
    package var first: Row? { rows.first(where: \.diverges) }
    /// The first stage that differs in any bit.
    package var firstDifference: Row? { rows.first { $0.misfit > 0 || $0.diverges } }
    /// All differences together: 0 for equal dumps.
    package var misfit: Double { rows.reduce(0) { $0 + $1.misfit } }

    /// Compares two files.
    ///
    /// - Parameters:
    ///   - ours: a dump.
    ///   - theirs: a dump of the same tokens by another engine.
    ///   - bound: the largest difference of a number that counts as noise, as a share of the largest of its tensor;
    ///     nil for what the numerics of the two files allow.
    /// - Throws: `SparseInferenceError.checkpoint` for a file that lies or a tensor of the wrong type.
    package init(_ ours: SafetensorsFile, _ theirs: SafetensorsFile, bound: Double? = nil) throws {
        let names = Set(ours.names).union(theirs.names).sorted {
            Self.order($0).lexicographicallyPrecedes(Self.order($1))
        }
        let noise = StageNoise([ours, theirs].map(\.metadata), bound: bound)
        var compared = Int.max
        for name in names {
            guard let left = ours.tensors[name], let right = theirs.tensors[name] else {
                skipped.append(name)
                continue
            }
            var row = Row(name: name)
            // Lists and scores may differ in width: unused slots are −1, tokens not visible −∞.
            let isRagged = left.dataType == .int32 || name.hasSuffix(".\(Stage.indexScores.rawValue)")
            guard
                left.shape == right.shape
                    || isRagged && left.shape.first == right.shape.first && left.shape.count == 2
                        && right.shape.count == 2
            else {
                row.error = .infinity
                row.misfit = 1
                row.note = "shape \(left.shape) against \(right.shape)"
                rows.append(row)
                continue
            }
            let tokens = left.shape.first ?? 1
            row.tokens = min(tokens, compared)
            switch left.dataType {
            case .int32:
                let lists = try (Lists(ours, name), Lists(theirs, name))
                if name.hasSuffix(".\(Stage.selection.rawValue)") {
                    let scores = name.replacing(
                        ".\(Stage.selection.rawValue)",
                        with: ".\(Stage.indexScores.rawValue)"
                    )
                    let comparison = SelectionComparison(
                        lists.0.rows(row.tokens),
                        lists.1.rows(row.tokens),
                        scores: try ours.tensors[scores].map {
                            try ($0.shape.last ?? 0, ours.floats(of: scores))
                        },
                        tie: noise.tie
                    )
                    comparison.report(to: &row)
                    compared = min(compared, comparison.firstTie ?? .max)
                } else {
                    Self.compare(lists.0.rows(row.tokens), lists.1.rows(row.tokens), into: &row)
                }
            case .float8E4M3, .uint8:
                let width = left.shape.dropFirst().reduce(1, *)
                let count = row.tokens * width
                noise.compareCodes(
                    try ours.bytes(of: name).prefix(count),
                    try theirs.bytes(of: name).prefix(count),
                    into: &row
                )
            default:
                let (a, b) = try Self.numbers(ours, theirs, name: name, tokens: row.tokens)
                let width = a.count / max(row.tokens, 1)
                noise.compare(a, b, width: width, into: &row)
                if row.misfit > 0 {
                    row.hint = StageHint.cause(
                        a,
                        b,
                        width: left.shape.last ?? 1,
                        stage: name.split(separator: ".").last.flatMap { Stage(rawValue: String($0)) }
                    )
                }
            }
            rows.append(row)
        }
    }

    /// The numbers of the first tokens in both files, in rows of one width.
    private static func numbers(
        _ ours: SafetensorsFile,
        _ theirs: SafetensorsFile,
        name: String,
        tokens: Int
    ) throws -> ([Float], [Float]) {
        func rows(_ file: SafetensorsFile) throws -> (elements: [Float], width: Int) {
            (try file.floats(of: name), try file.find(name).shape.dropFirst().reduce(1, *))
        }
        let (a, b) = (try rows(ours), try rows(theirs))
        let width = max(a.width, b.width)
        func padded(_ part: (elements: [Float], width: Int)) -> [Float] {
            guard part.width < width else { return Array(part.elements.prefix(tokens * width)) }
            return (0..<tokens).flatMap { token in
                part.elements[token * part.width..<(token + 1) * part.width]
                    + [Float](repeating: -.infinity, count: width - part.width)
            }
        }
        return (padded(a), padded(b))
    }

    /// Where a tensor comes in the order of computation.
    private static func order(_ name: String) -> [Int] {
        if name == "input_ids" { return [-2, 0] }
        if name == Stage.embedding.rawValue { return [-1, 0] }
        let parts = name.split(separator: ".")
        let stage = parts.last.flatMap { part in Stage.allCases.firstIndex { $0.rawValue == part } }
        guard parts.count == 2, let layer = Int(parts[0].dropFirst("layer".count)) else {
            return [.max, stage ?? .max]
        }
        return [layer, stage ?? .max]
    }

    private static func compare(_ a: [Set<Int32>], _ b: [Set<Int32>], into row: inout Row) {
        let differing = zip(a, b).enumerated().filter { $0.element.0 != $0.element.1 }
        row.misfit = Double(differing.count) / Double(max(a.count, 1))
        row.error = row.misfit
        if let (token, sets) = differing.first {
            row.note =
                "\(differing.count) of \(a.count) tokens; token \(token): "
                + "only ours \(sets.0.subtracting(sets.1).sorted()), "
                + "only theirs \(sets.1.subtracting(sets.0).sorted())"
        }
    }
}

/// An I32 tensor whose rows are sets, padded with −1.
private struct Lists {
    let elements: [Int32]
    let width: Int

    init(_ file: SafetensorsFile, _ name: String) throws {
        elements = try file.int32s(of: name)
        let shape = try file.find(name).shape
        width = shape.dropFirst().reduce(1, *)
    }

    func rows(_ count: Int) -> [Set<Int32>] {
        (0..<count).map { Set(elements[$0 * width..<($0 + 1) * width]).subtracting([-1]) }
    }
}

import Foundation
package import SparseInference

/// Compares two dumps of the same forward pass, stage by stage in the order of computation.
package struct StageDiff: Encodable {
    /// How one stage compares.
    package struct Row: Encodable, Equatable {
        /// The tensor's name.
        package let name: String
        /// The largest `|a − b|`, or the tokens that differ.
        package var largest = 0.0
        /// The largest difference as a share of the largest `|b|`; for lists, one less the overlap.
        package var relative = 0.0
        /// The cosine of the two tensors; nil for lists.
        package var cosine: Double?
        /// The largest `relative` that counts as noise.
        package var bound = 0.0
        /// What differs, in words; empty when nothing does.
        package var note = ""
        /// A likely cause.
        package var hint: String?

        /// Whether the difference is more than noise.
        package var diverges: Bool { !(relative <= bound) }
    }

    /// The stages both files hold.
    package var rows: [Row] = []
    /// The stages only one file holds.
    package var skipped: [String] = []

    /// The first stage that differs by more than noise.
    package var first: Row? { rows.first(where: \.diverges) }

    /// Floats may differ by this share of the largest; both sides compute in float32 but sum in other orders.
    package static let bound = 1e-4

    /// Compares two files.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` for a file that lies or a tensor of the wrong type.
    package init(_ ours: SafetensorsFile, _ theirs: SafetensorsFile, bound: Double = StageDiff.bound) throws {
        let names = Set(ours.names).union(theirs.names).sorted {
            Self.order($0).lexicographicallyPrecedes(Self.order($1))
        }
        for name in names {
            guard let left = ours.tensors[name], let right = theirs.tensors[name] else {
                skipped.append(name)
                continue
            }
            var row = Row(name: name)
            // Lists may differ in width: unused slots are −1.
            guard
                left.shape == right.shape
                    || left.dataType == .int32 && left.shape.first == right.shape.first
            else {
                row.relative = .infinity
                row.note = "shape \(left.shape) against \(right.shape)"
                rows.append(row)
                continue
            }
            if left.dataType == .int32 {
                let (a, b) = (try ours.int32s(of: name), try theirs.int32s(of: name))
                Self.compare(a, b, widths: (left.shape, right.shape), into: &row)
            } else {
                row.bound = bound
                let (a, b) = (try ours.floats(of: name), try theirs.floats(of: name))
                Self.compare(a, b, into: &row)
                if row.diverges {
                    row.hint = StageHint.cause(
                        a,
                        b,
                        width: left.shape.last ?? 1,
                        rotated: name.hasSuffix("indexQueries") || name.hasSuffix("indexKeys")
                    )
                }
            }
            rows.append(row)
        }
    }

    /// Where a tensor comes in the order of computation.
    private static func order(_ name: String) -> [Int] {
        if name == "input_ids" { return [-2, 0] }
        if name == "embedding" { return [-1, 0] }
        let parts = name.split(separator: ".")
        let stage = parts.last.flatMap { part in
            Stage.computed.firstIndex { $0.rawValue == part }
        }
        guard parts.count == 2, let layer = Int(parts[0].dropFirst("layer".count)) else {
            return [.max, stage ?? .max]
        }
        return [layer, stage ?? .max]
    }

    private static func compare(_ a: [Float], _ b: [Float], into row: inout Row) {
        var (dot, left, right, top) = (0.0, 0.0, 0.0, 0.0)
        for (x, y) in zip(a, b) {
            if x == y || x.isNaN && y.isNaN {
                if x.isFinite { top = max(top, Double(y.magnitude)) }
            } else if x.isFinite && y.isFinite {
                row.largest = max(row.largest, Double(abs(x - y)))
                top = max(top, Double(y.magnitude))
            } else {
                row.largest = .infinity
            }
            guard x.isFinite, y.isFinite else { continue }
            dot += Double(x) * Double(y)
            left += Double(x) * Double(x)
            right += Double(y) * Double(y)
        }
        row.relative = row.largest == 0 ? 0 : row.largest / max(top, .leastNormalMagnitude)
        row.cosine = left == right && row.largest == 0 ? 1 : dot / (left * right).squareRoot()
        if row.cosine?.isFinite != true { row.cosine = nil }
    }

    private static func compare(_ a: [Int32], _ b: [Int32], widths: ([Int], [Int]), into row: inout Row) {
        guard let tokens = widths.0.first, tokens > 0 else { return }
        let (wide, narrow) = (a.count / tokens, b.count / tokens)
        var (common, all, differing) = (0, 0, 0)
        for token in 0..<tokens {
            let left = Set(a[token * wide..<(token + 1) * wide]).subtracting([-1])
            let right = Set(b[token * narrow..<(token + 1) * narrow]).subtracting([-1])
            common += left.intersection(right).count
            all += left.union(right).count
            guard left != right else { continue }
            differing += 1
            if differing == 1 {
                row.note =
                    "token \(token): only ours \(left.subtracting(right).sorted()), "
                    + "only theirs \(right.subtracting(left).sorted())"
            }
            if row.name.hasSuffix(".selection"), row.hint == nil, right.contains(where: { $0 > token }) {
                row.hint = "theirs selects tokens that come after the query token: a missing causal mask"
            }
        }
        row.largest = Double(differing)
        row.relative = all == 0 ? 0 : 1 - Double(common) / Double(all)
    }
}

extension Stage {
    /// The stages in the order they are computed.
    fileprivate static let computed: [Stage] = [
        .embedding, .queryLatent, .latents, .indexKeys, .indexQueries, .headWeights, .selection,
        .attentionOutput, .logSumExp, .experts, .hidden, .finalNorm,
    ]
}

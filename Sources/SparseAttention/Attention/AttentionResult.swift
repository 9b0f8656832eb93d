import Foundation

/// What attention returns for each query token and head.
///
/// A row that sees no key has output 0 and both statistics −infinity. (FlashMLA reports +infinity as the
/// log-sum-exp of such a row; −infinity is what merging needs.)
public struct AttentionResult: Sendable {
    /// The weighted sums of values, `[queryTokens, heads, valueDim]`.
    public package(set) var output: Tensor
    /// The natural logarithm of `Σ exp(scale · q · k)`, `[queryTokens, heads]`.
    public package(set) var logSumExp: Tensor
    /// The largest scaled score, `[queryTokens, heads]`.
    public package(set) var maximumScore: Tensor

    /// A result still to be written.
    init(queryTokens: Int, heads: Int, valueDim: Int) {
        output = Tensor(uninitialized: [queryTokens, heads, valueDim])
        logSumExp = Tensor(uninitialized: [queryTokens, heads])
        maximumScore = Tensor(uninitialized: [queryTokens, heads])
    }

    /// A result from its parts.
    ///
    /// - Parameters:
    ///   - output: `[queryTokens, heads, valueDim]`.
    ///   - logSumExp: `[queryTokens, heads]`.
    ///   - maximumScore: `[queryTokens, heads]`.
    /// - Throws: `SparseAttentionError.shapeMismatch`.
    public init(output: Tensor, logSumExp: Tensor, maximumScore: Tensor) throws(SparseAttentionError) {
        let statistics = Shape(trusted: Array(output.shape.dimensions.dropLast()))
        guard output.shape.rank == 3 else {
            throw .dimensionMismatch(.rank, argument: "output", expected: 3, found: output.shape.rank)
        }
        guard logSumExp.shape == statistics else {
            throw .shapeMismatch(argument: "logSumExp", expected: statistics, found: logSumExp.shape)
        }
        guard maximumScore.shape == statistics else {
            throw .shapeMismatch(argument: "maximumScore", expected: statistics, found: maximumScore.shape)
        }
        self.output = output
        self.logSumExp = logSumExp
        self.maximumScore = maximumScore
    }
}

extension AttentionResult {
    /// The results of different query tokens, one after the other; at least one, of the same heads and widths.
    package init(joining parts: [AttentionResult]) {
        output = Tensor(joining: parts.map(\.output))
        logSumExp = Tensor(joining: parts.map(\.logSumExp))
        maximumScore = Tensor(joining: parts.map(\.maximumScore))
    }
}

/// The larger number, NaN if one is: `max` can drop a NaN, and a broken row would look like one that sees nothing.
private func larger(_ x: Float, _ y: Float) -> Float {
    x.isNaN || y.isNaN ? .nan : max(x, y)
}

// MARK: - Merging

extension AttentionResult {
    /// Attention over the union of disjoint sets of keys, from the results over each.
    ///
    /// `logSumExp = ln Σ exp(lseᵢ)` and `output = Σ exp(lseᵢ − logSumExp) · outputᵢ`, parts in the given order.
    ///
    /// - Parameter parts: at least one, all of one shape.
    /// - Returns: the result over all keys.
    /// - Throws: `SparseAttentionError.shapeMismatch` or `invalidSetting`.
    public static func merged(_ parts: [AttentionResult]) throws(SparseAttentionError) -> AttentionResult {
        guard let first = parts.first else {
            throw .invalidSetting(name: "parts", found: "none", expected: "at least one")
        }
        for part in parts where part.output.shape != first.output.shape {
            throw .shapeMismatch(argument: "parts", expected: first.output.shape, found: part.output.shape)
        }
        guard parts.count > 1 else { return first }
        let shape = first.output.shape
        let rows = shape[0] * shape[1]
        var joined = AttentionResult(queryTokens: parts.count * shape[0], heads: shape[1], valueDim: shape[2])
        joined.withRows { target in
            for (index, part) in parts.enumerated() {
                part.output.withMatrix {
                    target.output.rows(index * rows..<(index + 1) * rows).copy(from: $0)
                }
                part.logSumExp.withMatrix {
                    (target.logSumExp + index * rows).update(from: $0.base, count: rows)
                }
                part.maximumScore.withMatrix {
                    (target.maximumScore + index * rows).update(from: $0.base, count: rows)
                }
            }
        }
        return joined.merged(parts: parts.count, workers: .one)
    }

    /// Merges results that lie one after the other along the first dimension.
    ///
    /// Mutating only to lend its rows without a copy: nothing changes.
    mutating func merged(parts: Int, workers: Workers) -> AttentionResult {
        guard parts > 1 else { return self }
        let (heads, valueDim) = (output.shape[1], output.shape[2])
        var merged = AttentionResult(
            queryTokens: output.shape[0] / parts,
            heads: heads,
            valueDim: valueDim
        )
        merged.withRows { target in
            withRows { source in
                workers.run(count: target.output.rows, tile: Self.mergedRows) { rows in
                    for row in rows {
                        target.merge(row, from: source, parts: parts)
                    }
                }
            }
        }
        return merged
    }

    /// Rows one worker merges at a time.
    private static let mergedRows = 16

    /// Where the rows of a result are written: one row for each query token and head.
    struct Rows: @unchecked Sendable {
        // Sendable: parallel regions write disjoint rows.
        let output: MutableMatrixView  // [queryTokens · heads, valueDim]
        let logSumExp: UnsafeMutablePointer<Float>  // [queryTokens · heads]
        let maximumScore: UnsafeMutablePointer<Float>  // [queryTokens · heads]

        /// Writes one row from its parts, which lie as many rows apart as there are here.
        fileprivate func merge(_ row: Int, from source: Rows, parts: Int) {
            let places = stride(from: row, to: parts * output.rows, by: output.rows)
            logSumExp[row] = -.infinity
            maximumScore[row] = -.infinity
            output.rows(row..<row + 1).fill(0)
            let largest = places.reduce(-Float.infinity) { larger($0, source.logSumExp[$1]) }
            guard largest != -.infinity else { return }
            let total = places.reduce(Float(0)) { $0 + exp(source.logSumExp[$1] - largest) }
            logSumExp[row] = largest + log(total)
            for place in places {
                let weight = exp(source.logSumExp[place] - logSumExp[row])
                Kernels.add(source.output[place], times: weight, to: output[row], count: output.columns)
                maximumScore[row] = larger(maximumScore[row], source.maximumScore[place])
            }
        }
    }

    /// Lends the rows to write into.
    mutating func withRows(_ body: (Rows) -> Void) {
        output.withMutableMatrix { output in
            logSumExp.withMutableMatrix { logSumExp in
                maximumScore.withMutableMatrix { maximumScore in
                    body(Rows(output: output, logSumExp: logSumExp.base, maximumScore: maximumScore.base))
                }
            }
        }
    }
}

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
        var merged = AttentionResult(queryTokens: shape[0], heads: shape[1], valueDim: shape[2])
        merged.withRows { target in
            for row in 0..<target.output.rows {
                target.logSumExp[row] = -.infinity
                target.maximumScore[row] = -.infinity
                target.output.rows(row..<row + 1).fill(0)
                let largest = parts.reduce(-Float.infinity) { larger($0, $1.logSumExp[row]) }
                guard largest != -.infinity else { continue }
                let total = parts.reduce(Float(0)) { $0 + exp($1.logSumExp[row] - largest) }
                let logSumExp = largest + log(total)
                for part in parts {
                    let weight = exp(part.logSumExp[row] - logSumExp)
                    part.output.withMatrix { output in
                        Kernels.add(output[row], times: weight, to: target.output[row], count: shape[2])
                    }
                    target.maximumScore[row] = larger(target.maximumScore[row], part.maximumScore[row])
                }
                target.logSumExp[row] = logSumExp
            }
        }
        return merged
    }

    /// Merges results that lie one after the other along the first dimension.
    func merged(parts: Int) -> AttentionResult {
        guard parts > 1 else { return self }
        let tokens = output.shape[0] / parts
        do {
            return try .merged(
                (0..<parts).map { part throws(SparseAttentionError) in
                    let range = part * tokens..<(part + 1) * tokens
                    return try AttentionResult(
                        output: output.slice(range),
                        logSumExp: logSumExp.slice(range),
                        maximumScore: maximumScore.slice(range)
                    )
                }
            )
        } catch {
            preconditionFailure("equal parts of one result: \(error)")
        }
    }

    /// Where the rows of a result are written: one row for each query token and head.
    struct Rows: @unchecked Sendable {
        // Sendable: parallel regions write disjoint rows.
        let output: MutableMatrixView  // [queryTokens · heads, valueDim]
        let logSumExp: UnsafeMutablePointer<Float>  // [queryTokens · heads]
        let maximumScore: UnsafeMutablePointer<Float>  // [queryTokens · heads]
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

import SparseAttention

/// The backward pass of causal multi-head attention over all visible tokens, without a matrix of all scores.
///
/// Probabilities are computed again, tile by tile, from the log-sum-exp of the forward pass.
///
/// Source: Dao et al. 2022, algorithm 4.
struct DenseAttentionGradient {
    /// The sizes of the layer.
    let sizes: LatentAttention.Dimensions
    /// What scores are multiplied by.
    let scale: Float
    /// The threads to use.
    let workers: Workers

    /// Query tokens, and keys, of a tile of scores.
    private static let tile = 128

    /// What the forward pass had and gave.
    struct Operands: Sendable {
        /// `[tokens, heads · (nopeDim + ropeDim)]`, the last part of a head rotated.
        let queries: Tensor
        /// `[tokens, heads · (nopeDim + valueDim)]`.
        let keyValues: Tensor
        /// `[tokens, ropeDim]`, rotated; shared by the heads.
        let ropeKeys: Tensor
        /// `[tokens, heads · valueDim]`.
        let output: Tensor
        /// `[tokens, heads]`.
        let logSumExp: Tensor
    }

    /// Gradients of what the forward pass had, in the shapes of `Operands`.
    struct Gradients {
        var queries: Tensor
        var keyValues: Tensor
        var ropeKeys: Tensor
    }

    /// The gradients of queries, keys and values.
    ///
    /// - Parameters:
    ///   - gradient: that of the output, `[tokens, heads · valueDim]`.
    ///   - operands: of the forward pass.
    /// - Returns: the gradients.
    func callAsFunction(_ gradient: Tensor, _ operands: Operands) -> Gradients {
        let tokens = gradient.shape[0]
        var gradients = Gradients(
            queries: Tensor(repeating: 0, shape: operands.queries.shape),
            keyValues: Tensor(repeating: 0, shape: operands.keyValues.shape),
            ropeKeys: Tensor(repeating: 0, shape: operands.ropeKeys.shape)
        )
        // Each head writes its own part; the heads' parts are summed afterwards, in order.
        var ropeKeyParts = Tensor(repeating: 0, shape: [sizes.heads * tokens, sizes.ropeDim])
        lend(mutable: &gradients.queries, &gradients.keyValues, &ropeKeyParts) {
            queries,
            keyValues,
            ropeKeys in
            lend(operands.queries, operands.keyValues, operands.ropeKeys) { queryRows, pairs, ropeRows in
                lend(operands.output, operands.logSumExp, gradient) { output, logSumExp, gradient in
                    workers.run(
                        tiles: sizes.heads,
                        scratch: { Memory(tile: Self.tile, tokens: tokens) },
                        { head, memory in
                            let query = head * sizes.queryDim..<(head + 1) * sizes.queryDim
                            let pair = head * sizes.projectionRows..<(head + 1) * sizes.projectionRows
                            let value = head * sizes.valueDim..<(head + 1) * sizes.valueDim
                            Head(
                                sizes: sizes,
                                scale: scale,
                                queries: queryRows.columns(query),
                                keyValues: pairs.columns(pair),
                                ropeKeys: ropeRows,
                                output: output.columns(value),
                                logSumExp: logSumExp.columns(head..<head + 1),
                                gradient: gradient.columns(value),
                                queryGradients: queries.columns(query),
                                keyValueGradients: keyValues.columns(pair),
                                ropeKeyGradients: ropeKeys.rows(head * tokens..<(head + 1) * tokens)
                            ).run(memory, tile: Self.tile)
                        }
                    )
                }
            }
        }
        for head in 0..<sizes.heads {
            gradients.ropeKeys.add(ropeKeyParts.rows(head * tokens..<(head + 1) * tokens))
        }
        return gradients
    }
}

/// One worker's tiles.
private final class Memory {
    let scores: MutableMatrixView  // [tile, tile]
    let gradients: MutableMatrixView  // [tile, tile]
    let corrections: MutableMatrixView  // [1, tokens]
    private let scratch: Scratch

    init(tile: Int, tokens: Int) {
        scratch = Scratch(floats: 2 * tile * tile + tokens)
        scores = scratch.matrix(rows: tile, columns: tile)
        gradients = scratch.matrix(rows: tile, columns: tile)
        corrections = scratch.matrix(rows: 1, columns: tokens)
    }
}

/// One head's part of everything.
private struct Head {
    let sizes: LatentAttention.Dimensions
    let scale: Float
    let queries: MatrixView  // [tokens, nopeDim + ropeDim]
    let keyValues: MatrixView  // [tokens, nopeDim + valueDim]
    let ropeKeys: MatrixView  // [tokens, ropeDim]
    let output: MatrixView  // [tokens, valueDim]
    let logSumExp: MatrixView  // [tokens, 1]
    let gradient: MatrixView  // [tokens, valueDim]
    let queryGradients: MutableMatrixView
    let keyValueGradients: MutableMatrixView
    let ropeKeyGradients: MutableMatrixView

    private var nope: Range<Int> { 0..<sizes.nopeDim }
    private var rope: Range<Int> { sizes.nopeDim..<sizes.queryDim }
    private var value: Range<Int> { sizes.nopeDim..<sizes.projectionRows }

    func run(_ memory: Memory, tile: Int) {
        let tokens = queries.rows
        // Σ_s p dp, which the gradient of every score of a row loses: the output's product with its gradient.
        for token in 0..<tokens {
            memory.corrections.base[token] = Kernels.dot(
                output[token],
                gradient[token],
                count: sizes.valueDim
            )
        }
        for first in stride(from: 0, to: tokens, by: tile) {
            let keys = first..<min(first + tile, tokens)
            for start in stride(from: first, to: tokens, by: tile) {
                add(start..<min(start + tile, tokens), keys, memory)
            }
        }
    }

    /// Adds what a tile of query tokens and a tile of keys give each other.
    private func add(_ tokens: Range<Int>, _ keys: Range<Int>, _ memory: Memory) {
        let probabilities = memory.scores.part(rows: tokens.count, columns: keys.count)
        let scores = memory.gradients.part(rows: tokens.count, columns: keys.count)
        let (query, pair) = (queries.rows(tokens), keyValues.rows(keys))
        BLAS.multiply(query.columns(nope), transposed: pair.columns(nope), into: probabilities)
        BLAS.multiply(
            query.columns(rope),
            transposed: ropeKeys.rows(keys),
            accumulating: true,
            into: probabilities
        )
        for (row, token) in tokens.enumerated() {
            let seen = min(max(token + 1 - keys.lowerBound, 0), keys.count)
            let line = probabilities[row]
            _ = Kernels.exponentiate(line, scale: scale, shift: logSumExp[token][0], count: seen)
            (line + seen).update(repeating: 0, count: keys.count - seen)
        }
        BLAS.multiply(
            transposed: probabilities.view,
            gradient.rows(tokens),
            accumulating: true,
            into: keyValueGradients.rows(keys).columns(value)
        )
        BLAS.multiply(gradient.rows(tokens), transposed: pair.columns(value), into: scores)
        for (row, token) in tokens.enumerated() {
            let (p, ds) = (probabilities[row], scores[row])
            let correction = memory.corrections.base[token]
            for key in 0..<keys.count {
                ds[key] = p[key] * (ds[key] - correction) * scale
            }
        }
        let target = queryGradients.rows(tokens)
        BLAS.multiply(scores.view, pair.columns(nope), accumulating: true, into: target.columns(nope))
        BLAS.multiply(scores.view, ropeKeys.rows(keys), accumulating: true, into: target.columns(rope))
        BLAS.multiply(
            transposed: scores.view,
            query.columns(nope),
            accumulating: true,
            into: keyValueGradients.rows(keys).columns(nope)
        )
        BLAS.multiply(
            transposed: scores.view,
            query.columns(rope),
            accumulating: true,
            into: ropeKeyGradients.rows(keys)
        )
    }
}

extension MutableMatrixView {
    /// The first numbers of this memory as a smaller matrix without gaps.
    func part(rows: Int, columns: Int) -> MutableMatrixView {
        precondition(rows * columns <= self.rows * self.columns && stride == self.columns)
        return MutableMatrixView(base: base, rows: rows, columns: columns, stride: columns)
    }
}

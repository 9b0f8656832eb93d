import SparseAttention

/// The backward pass of attention to selected tokens, in absorbed form: all heads share the latent rows.
///
/// Each query token gathers the rows it selected, computes its probabilities again from the log-sum-exp, and scatters
/// the rows' gradients back. Query tokens are cut into a fixed number of parts with sums of their own, added in order:
/// the result does not depend on the number of threads.
struct SelectedAttentionGradient {
    /// The sizes of the layer.
    let sizes: LatentAttention.Dimensions
    /// What scores are multiplied by.
    let scale: Float
    /// The threads to use.
    let workers: Workers

    /// Parts of the query tokens.
    static let parts = 8

    /// What the forward pass had and gave.
    struct Operands: Sendable {
        /// Absorbed, `[tokens, heads, latentDim + ropeDim]`.
        let queries: Tensor
        /// Latent and rotated key of each token, `[tokens, latentDim + ropeDim]`.
        let rows: Tensor
        /// The tokens each query token attends to.
        let selection: TokenSelection
        /// `[tokens, heads]`.
        let logSumExp: Tensor
        /// Σ over a head's values of output times gradient, `[tokens, heads]`.
        let corrections: Tensor
    }

    /// What the backward pass gives.
    struct Gradients {
        /// In the shape of the operand.
        var queries: Tensor
        /// In the shape of the operand.
        var rows: Tensor
        /// The weighted sums of latents of the forward pass, `[tokens, heads, latentDim]`.
        var sums: Tensor
        /// The probabilities of all heads, added and divided by their number, `[tokens, slots]`; 0 in unused slots.
        var attention: Tensor
    }

    /// The gradients of absorbed queries and rows.
    ///
    /// - Parameters:
    ///   - gradient: that of the weighted sums of latents, `[tokens, heads, latentDim]`.
    ///   - operands: of the forward pass.
    /// - Returns: the gradients.
    func callAsFunction(_ gradient: Tensor, _ operands: Operands) -> Gradients {
        let (tokens, slots) = (operands.selection.queryTokens, operands.selection.slots)
        let part = tileCount(tokens, Self.parts)
        var result = Gradients(
            queries: Tensor(uninitialized: operands.queries.shape),
            rows: Tensor(repeating: 0, shape: operands.rows.shape),
            sums: Tensor(uninitialized: gradient.shape),
            attention: Tensor(repeating: 0, shape: [tokens, slots])
        )
        var rowParts = Tensor(repeating: 0, shape: [Self.parts * tokens, sizes.rowDim])
        lend(mutable: &result.queries, &result.sums, &result.attention) { queryGradients, sums, attention in
            rowParts.withMutableMatrix { rowParts in
                lend(operands.queries, operands.rows, gradient) { queries, rows, gradient in
                    lend(operands.logSumExp, operands.corrections) { logSumExp, corrections in
                        workers.run(
                            tiles: Self.parts,
                            scratch: { Memory(slots: slots, sizes: sizes) },
                            { index, memory in
                                let target = rowParts.rows(index * tokens..<(index + 1) * tokens)
                                for token in index * part..<max(index * part, min((index + 1) * part, tokens))
                                {
                                    let heads = token * sizes.heads..<(token + 1) * sizes.heads
                                    memory.gather(rows, operands.selection[token])
                                    let query = Query(
                                        sizes: sizes,
                                        scale: scale,
                                        queries: queries.rows(heads),
                                        gradient: gradient.rows(heads),
                                        logSumExp: logSumExp[token],
                                        corrections: corrections[token]
                                    )
                                    query.run(
                                        memory,
                                        queryGradients: queryGradients.rows(heads),
                                        sums: sums.rows(heads),
                                        attention: attention[token]
                                    )
                                    memory.scatter(into: target)
                                }
                            }
                        )
                    }
                }
            }
        }
        for index in 0..<Self.parts {
            result.rows.add(rowParts.rows(index * tokens..<(index + 1) * tokens))
        }
        return result
    }
}

/// One worker's gathered rows, and what the query token at hand gives each of them.
///
/// Rows come first and heads second: products with few heads are fastest without a transposed factor.
private final class Memory {
    let sizes: LatentAttention.Dimensions
    let rows: MutableMatrixView  // [slots, rowDim]
    let gradients: MutableMatrixView  // [slots, rowDim]
    let probabilities: MutableMatrixView  // [slots, heads]
    let scores: MutableMatrixView  // [slots, heads]
    let queries: MutableMatrixView  // [rowDim, heads]
    let sumGradients: MutableMatrixView  // [latentDim, heads]
    private(set) var positions: ArraySlice<Int32> = []
    private let scratch: Scratch

    init(slots: Int, sizes: LatentAttention.Dimensions) {
        self.sizes = sizes
        scratch = Scratch(
            floats: 2 * slots * sizes.rowDim + 2 * sizes.heads * slots
                + (sizes.rowDim + sizes.latentDim) * sizes.heads
        )
        rows = scratch.matrix(rows: slots, columns: sizes.rowDim)
        gradients = scratch.matrix(rows: slots, columns: sizes.rowDim)
        probabilities = scratch.matrix(rows: slots, columns: sizes.heads)
        scores = scratch.matrix(rows: slots, columns: sizes.heads)
        queries = scratch.matrix(rows: sizes.rowDim, columns: sizes.heads)
        sumGradients = scratch.matrix(rows: sizes.latentDim, columns: sizes.heads)
    }

    /// Copies the rows at the positions in use, which come before the unused slots.
    func gather(_ source: MatrixView, _ slots: ArraySlice<Int32>) {
        positions = slots.prefix { $0 >= 0 }
        for (row, position) in positions.enumerated() {
            rows[row].update(from: source[Int(position)], count: sizes.rowDim)
        }
    }

    /// Adds the gradients of the gathered rows to where they came from.
    func scatter(into target: MutableMatrixView) {
        for (row, position) in positions.enumerated() {
            Kernels.add(gradients[row], times: 1, to: target[Int(position)], count: sizes.rowDim)
        }
    }
}

/// One query token, all heads.
private struct Query {
    let sizes: LatentAttention.Dimensions
    let scale: Float
    let queries: MatrixView  // [heads, rowDim]
    let gradient: MatrixView  // [heads, latentDim]
    let logSumExp: UnsafePointer<Float>  // [heads]
    let corrections: UnsafePointer<Float>  // [heads]

    func run(
        _ memory: Memory,
        queryGradients: MutableMatrixView,
        sums: MutableMatrixView,
        attention: UnsafeMutablePointer<Float>
    ) {
        let (count, heads) = (memory.positions.count, sizes.heads)
        let rows = memory.rows.rows(0..<count).view
        let latents = rows.columns(0..<sizes.latentDim)
        let probabilities = memory.probabilities.rows(0..<count)
        let scores = memory.scores.rows(0..<count)
        memory.queries.transpose(queries)
        memory.sumGradients.transpose(gradient)
        BLAS.multiply(rows, memory.queries.view, scale: scale, into: probabilities)
        BLAS.multiply(latents, memory.sumGradients.view, into: scores)
        for slot in 0..<count {
            let line = probabilities[slot]
            for head in 0..<heads {
                line[head] -= logSumExp[head]
            }
        }
        _ = Kernels.exponentiate(probabilities.base, scale: 1, shift: 0, count: count * heads)
        for slot in 0..<count {
            let (p, ds) = (probabilities[slot], scores[slot])
            var sum: Float = 0
            for head in 0..<heads {
                sum += p[head]
                ds[head] = p[head] * (ds[head] - corrections[head]) * scale
            }
            attention[slot] = sum / Float(heads)
        }
        BLAS.multiply(transposed: probabilities.view, latents, into: sums)
        BLAS.multiply(transposed: scores.view, rows, into: queryGradients)
        let rowGradients = memory.gradients.rows(0..<count)
        BLAS.multiply(scores.view, queries, into: rowGradients)
        BLAS.multiply(
            probabilities.view,
            gradient,
            accumulating: true,
            into: rowGradients.columns(0..<sizes.latentDim)
        )
    }
}

extension MutableMatrixView {
    /// Overwrites this matrix with the transpose of another.
    func transpose(_ source: MatrixView) {
        precondition(source.rows == columns && source.columns == rows)
        for row in 0..<source.rows {
            let line = source[row]
            for column in 0..<source.columns {
                self[column][row] = line[column]
            }
        }
    }
}

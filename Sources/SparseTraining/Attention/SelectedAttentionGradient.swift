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

/// One worker's gathered rows.
private final class Memory {
    let sizes: LatentAttention.Dimensions
    let rows: MutableMatrixView  // [slots, rowDim]
    let gradients: MutableMatrixView  // [slots, rowDim]
    let probabilities: MutableMatrixView  // [heads, slots]
    let scores: MutableMatrixView  // [heads, slots]
    private(set) var positions: ArraySlice<Int32> = []
    private let scratch: Scratch

    init(slots: Int, sizes: LatentAttention.Dimensions) {
        self.sizes = sizes
        scratch = Scratch(floats: 2 * slots * sizes.rowDim + 2 * sizes.heads * slots)
        rows = scratch.matrix(rows: slots, columns: sizes.rowDim)
        gradients = scratch.matrix(rows: slots, columns: sizes.rowDim)
        probabilities = scratch.matrix(rows: sizes.heads, columns: slots)
        scores = scratch.matrix(rows: sizes.heads, columns: slots)
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
        let count = memory.positions.count
        let rows = memory.rows.rows(0..<count).view
        let latents = rows.columns(0..<sizes.latentDim)
        let probabilities = memory.probabilities.part(rows: sizes.heads, columns: count)
        let scores = memory.scores.part(rows: sizes.heads, columns: count)
        BLAS.multiply(queries, transposed: rows, into: probabilities)
        for head in 0..<sizes.heads {
            _ = Kernels.exponentiate(
                probabilities[head],
                scale: scale,
                shift: logSumExp[head],
                count: count
            )
            Kernels.add(probabilities[head], times: 1 / Float(sizes.heads), to: attention, count: count)
        }
        BLAS.multiply(probabilities.view, latents, into: sums)
        BLAS.multiply(gradient, transposed: latents, into: scores)
        for head in 0..<sizes.heads {
            let (p, ds) = (probabilities[head], scores[head])
            for slot in 0..<count {
                ds[slot] = p[slot] * (ds[slot] - corrections[head]) * scale
            }
        }
        BLAS.multiply(scores.view, rows, into: queryGradients)
        let rowGradients = memory.gradients.rows(0..<count)
        BLAS.multiply(transposed: scores.view, queries, into: rowGradients)
        BLAS.multiply(
            transposed: probabilities.view,
            gradient,
            accumulating: true,
            into: rowGradients.columns(0..<sizes.latentDim)
        )
    }
}

import SparseAttention

/// The backward pass of attention to selected tokens, in absorbed form: all heads share the latent rows.
///
/// Each query token goes through the rows it selected, computes its probabilities again from the log-sum-exp, and scatters
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
                                    let query = Query(
                                        sizes: sizes,
                                        scale: scale,
                                        rows: rows,
                                        queries: queries.rows(heads),
                                        gradient: gradient.rows(heads),
                                        logSumExp: logSumExp[token],
                                        corrections: corrections[token]
                                    )
                                    let positions = operands.selection[token].prefix { $0 >= 0 }
                                    positions.withUnsafeBufferPointer { positions in
                                        query.run(
                                            positions,
                                            memory,
                                            queryGradients: queryGradients.rows(heads),
                                            sums: sums.rows(heads),
                                            rowGradients: target,
                                            attention: attention[token]
                                        )
                                    }
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

/// One worker's numbers of a group of heads: those of queries in the first half of the lanes, of gradients in the second.
private final class Memory {
    let factors: MutableMatrixView  // [rowDim, lanes]
    let transposed: MutableMatrixView  // [lanes, rowDim]
    let weights: MutableMatrixView  // [slots, lanes]
    let probabilities: MutableMatrixView  // [slots, lanes / 2]
    let sums: MutableMatrixView  // [lanes, rowDim]
    private let scratch: Scratch

    init(slots: Int, sizes: LatentAttention.Dimensions) {
        let lanes = Kernels.lanes
        scratch = Scratch(floats: 3 * sizes.rowDim * lanes + slots * (lanes + lanes / 2))
        factors = scratch.matrix(rows: sizes.rowDim, columns: lanes)
        transposed = scratch.matrix(rows: lanes, columns: sizes.rowDim)
        weights = scratch.matrix(rows: slots, columns: lanes)
        probabilities = scratch.matrix(rows: slots, columns: lanes / 2)
        sums = scratch.matrix(rows: lanes, columns: sizes.rowDim)
    }
}

/// One query token, all heads.
private struct Query {
    let sizes: LatentAttention.Dimensions
    let scale: Float
    let rows: MatrixView  // [tokens, rowDim]
    let queries: MatrixView  // [heads, rowDim]
    let gradient: MatrixView  // [heads, latentDim]
    let logSumExp: UnsafePointer<Float>  // [heads]
    let corrections: UnsafePointer<Float>  // [heads]

    /// The heads of a group.
    private static let groupHeads = Kernels.lanes / 2

    func run(
        _ positions: UnsafeBufferPointer<Int32>,
        _ memory: Memory,
        queryGradients: MutableMatrixView,
        sums: MutableMatrixView,
        rowGradients: MutableMatrixView,
        attention: UnsafeMutablePointer<Float>
    ) {
        for first in stride(from: 0, to: sizes.heads, by: Self.groupHeads) {
            let heads = first..<min(first + Self.groupHeads, sizes.heads)
            load(heads, memory)
            Kernels.multiply(
                gathered: positions,
                of: rows,
                by: memory.factors.base,
                into: memory.weights.base
            )
            weigh(heads, slots: positions.count, memory, attention: attention)
            memory.sums.fill(0)
            Kernels.add(gathered: positions, of: rows, times: memory.weights.base, to: memory.sums.base)
            Kernels.scatter(
                memory.weights.base,
                times: memory.transposed.base,
                to: positions,
                of: rowGradients
            )
            for (lane, head) in heads.enumerated() {
                queryGradients[head].update(from: memory.sums[lane], count: sizes.rowDim)
                sums[head].update(from: memory.sums[Self.groupHeads + lane], count: sizes.latentDim)
            }
        }
    }

    /// Lays out the queries and gradients of some heads; lanes without a head hold 0.
    private func load(_ heads: Range<Int>, _ memory: Memory) {
        memory.transposed.fill(0)
        for (lane, head) in heads.enumerated() {
            memory.transposed[lane].update(from: queries[head], count: sizes.rowDim)
            memory.transposed[Self.groupHeads + lane].update(from: gradient[head], count: sizes.latentDim)
        }
        memory.factors.transpose(memory.transposed.view)
    }

    /// Turns scores and their counterparts into gradients of scores and probabilities.
    private func weigh(
        _ heads: Range<Int>,
        slots: Int,
        _ memory: Memory,
        attention: UnsafeMutablePointer<Float>
    ) {
        let group = Self.groupHeads
        let (weights, probabilities) = (memory.weights.base, memory.probabilities.base)
        // A lane without a head gets a probability of 0.
        var shifts = SIMD8<Float>(repeating: .infinity)
        var means = SIMD8<Float>.zero
        for (lane, head) in heads.enumerated() {
            shifts[lane] = logSumExp[head]
            means[lane] = corrections[head]
        }
        for slot in 0..<slots {
            let scores = weights.lanes(at: slot * Lanes.scalarCount).lowHalf
            UnsafeMutableRawPointer(probabilities + slot * group)
                .storeBytes(of: scale * scores - shifts, as: SIMD8<Float>.self)
        }
        _ = Kernels.exponentiate(probabilities, scale: 1, shift: 0, count: slots * group)
        let share = 1 / Float(sizes.heads)
        for slot in 0..<slots {
            let line = UnsafeRawPointer(probabilities + slot * group).loadUnaligned(as: SIMD8<Float>.self)
            let counterparts = weights.lanes(at: slot * Lanes.scalarCount).highHalf
            let gradients = line * (counterparts - means) * scale
            weights.setLanes(Lanes(lowHalf: gradients, highHalf: line), at: slot * Lanes.scalarCount)
            attention[slot] += share * Lanes(lowHalf: line, highHalf: .zero).total
        }
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

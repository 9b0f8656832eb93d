import SparseAttention

/// The attention of query tokens to every token before them, added over heads and divided by their number.
///
/// What the indexer is to match in the dense warm-up; computed again from the log-sum-exp, a few query tokens at a time.
struct DenseAttentionMass: Sendable {
    /// The sizes of the layer.
    let sizes: LatentAttention.Dimensions
    /// What scores are multiplied by.
    let scale: Float
    /// As of the forward pass.
    let operands: DenseAttentionGradient.Operands

    /// Writes the attention of some query tokens.
    ///
    /// - Parameters:
    ///   - tokens: the query tokens.
    ///   - output: `[tokens, tokens.upperBound]`; 0 where a token is not visible, each row sums to 1.
    func write(_ tokens: Range<Int>, into output: MutableMatrixView) {
        let scratch = Scratch(floats: tokens.count * tokens.upperBound)
        let scores = scratch.matrix(rows: tokens.count, columns: tokens.upperBound)
        output.fill(0)
        lend(operands.queries, operands.keyValues, operands.ropeKeys) { queries, keyValues, ropeKeys in
            for head in 0..<sizes.heads {
                let query = queries.rows(tokens).columns(head * sizes.queryDim..<(head + 1) * sizes.queryDim)
                let first = head * sizes.projectionRows
                let keys = keyValues.rows(0..<tokens.upperBound).columns(first..<first + sizes.nopeDim)
                BLAS.multiply(query.columns(0..<sizes.nopeDim), transposed: keys, into: scores)
                BLAS.multiply(
                    query.columns(sizes.nopeDim..<sizes.queryDim),
                    transposed: ropeKeys.rows(0..<tokens.upperBound),
                    accumulating: true,
                    into: scores
                )
                for (row, token) in tokens.enumerated() {
                    let shift = operands.logSumExp[token * sizes.heads + head]
                    _ = Kernels.exponentiate(scores[row], scale: scale, shift: shift, count: token + 1)
                    Kernels.add(
                        scores[row],
                        times: 1 / Float(sizes.heads),
                        to: output[row],
                        count: token + 1
                    )
                }
            }
        }
    }
}

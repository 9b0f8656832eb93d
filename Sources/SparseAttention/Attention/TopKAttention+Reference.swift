import Foundation

extension TopKAttention {
    /// The definition: one query, head and slot at a time, in `Double`.
    package func reference(
        _ queries: Tensor,
        to latents: Tensor,
        at selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        let rowDim = latents.shape.columns
        try validate(queries, rowDim: rowDim, selection: selection, scale: scale)
        let (queryTokens, heads) = (queries.shape[0], queries.shape[1])
        var result = AttentionResult(queryTokens: queryTokens, heads: heads, valueDim: valueDim)
        for token in 0..<queryTokens {
            let chosen = selection[token].map(Int.init).filter { $0 >= 0 && $0 < latents.shape.rows }
            for head in 0..<heads {
                let row = token * heads + head
                let scores = chosen.map { position in
                    (0..<rowDim).reduce(0.0) { sum, column in
                        sum + Double(queries[row * rowDim + column])
                            * Double(latents[position * rowDim + column])
                    } * Double(scale)
                }
                let largest = scores.max() ?? -.infinity
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                for column in 0..<valueDim {
                    let sum = zip(chosen, weights).reduce(0.0) { sum, pair in
                        sum + pair.1 * Double(latents[pair.0 * rowDim + column])
                    }
                    result.output[row * valueDim + column] = chosen.isEmpty ? 0 : Float(sum / total)
                }
                result.maximumScore[row] = Float(largest)
                result.logSumExp[row] = chosen.isEmpty ? -.infinity : Float(largest + log(total))
            }
        }
        return result
    }
}

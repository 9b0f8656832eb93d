import Foundation

extension DenseAttention {
    /// The definition: one query at a time, one key at a time, in `Double`.
    ///
    /// - Parameters: as those of `attend`, plus `visible`, which may hide keys from a query token.
    package static func reference(
        _ queries: Tensor,
        keys: Tensor,
        values: Tensor,
        scale: Float,
        visible: (_ query: Int, _ key: Int) -> Bool = { _, _ in true }
    ) throws(SparseAttentionError) -> AttentionResult {
        let keyHeads = try validate(queries, keys: keys, values: values, scale: scale)
        let (queryTokens, heads, headDim) = (queries.shape[0], queries.shape[1], queries.shape[2])
        let (keyTokens, valueDim) = (keys.shape[0], values.shape[2])
        var result = AttentionResult(queryTokens: queryTokens, heads: heads, valueDim: valueDim)
        for token in 0..<queryTokens {
            let seen = (0...keyTokens - queryTokens + token).filter { visible(token, $0) }
            for head in 0..<heads {
                let keyHead = head / (heads / keyHeads)
                let row = token * heads + head
                let scores = seen.map { key in
                    (0..<headDim).reduce(0.0) { sum, column in
                        sum + Double(queries[row * headDim + column])
                            * Double(keys[(key * keyHeads + keyHead) * headDim + column])
                    } * Double(scale)
                }
                let largest = scores.max() ?? -.infinity
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                for column in 0..<valueDim {
                    let sum = zip(seen, weights).reduce(0.0) { sum, pair in
                        sum + pair.1 * Double(values[(pair.0 * keyHeads + keyHead) * valueDim + column])
                    }
                    result.output[row * valueDim + column] = seen.isEmpty ? 0 : Float(sum / total)
                }
                result.maximumScore[row] = Float(largest)
                result.logSumExp[row] = seen.isEmpty ? -.infinity : Float(largest + log(total))
            }
        }
        return result
    }
}

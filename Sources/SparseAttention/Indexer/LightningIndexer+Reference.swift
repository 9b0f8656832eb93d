extension LightningIndexer {
    /// The definition of the float32 scores: one query, key and head at a time, in `Double`.
    ///
    /// - Returns: `[queryTokens, position + queryTokens]`; −infinity where a token is not visible.
    package func referenceScores(
        queries: Tensor,
        weights: Tensor,
        keys: Tensor,
        from position: Int
    ) throws(SparseAttentionError) -> Tensor {
        let visible = try keys.withRows { rows throws(SparseAttentionError) in
            try validate(queries: queries, weights: weights, keys: rows, from: position)
        }
        let factor = 1 / (Double(heads) * Double(headDim)).squareRoot()
        var scores = Tensor(repeating: -.infinity, shape: [queries.shape[0], visible])
        for token in 0..<queries.shape[0] {
            for key in 0...position + token {
                var score = 0.0
                for head in 0..<heads {
                    let row = token * heads + head
                    let product = (0..<headDim).reduce(0.0) { sum, column in
                        sum + Double(queries[row * headDim + column]) * Double(keys[key * headDim + column])
                    }
                    score += Double(weights[row]) * max(product, 0)
                }
                scores[token * visible + key] = Float(score * factor)
            }
        }
        return scores
    }
}

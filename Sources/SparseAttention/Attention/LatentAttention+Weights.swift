extension LatentAttention {
    /// What share of its attention each head of one query token gives to each token: the definition, for whoever looks at
    /// attention and not at its result.
    ///
    /// - Parameters:
    ///   - query: `[1, heads, nopeDim + ropeDim]`, rotated.
    ///   - cache: the tokens' latents and rope keys.
    ///   - visible: the tokens seen: the first so many of the cache.
    ///   - projection: forms keys and values from latents.
    /// - Returns: `[heads, visible]`; each row sums to 1.
    /// - Throws: `SparseAttentionError.shapeMismatch` for another query.
    package func weights(
        _ query: Tensor,
        to cache: borrowing LatentCache,
        visible: Int,
        through projection: KeyValueProjection
    ) throws(SparseAttentionError) -> Tensor {
        let shape: Shape = [1, dimensions.heads, dimensions.queryDim]
        guard query.shape == shape else {
            throw .shapeMismatch(argument: "query", expected: shape, found: query.shape)
        }
        let absorbed = absorb(query, through: projection)
        var scores = Tensor(uninitialized: [dimensions.heads, visible])
        cache.withRows { rows in
            // Float32 rows are read where they lie.
            let floats = rows.scratchFloats(rows: visible)
            let scratch = Scratch(floats: floats)
            let memory = scratch.matrix(rows: floats > 0 ? visible : 0, columns: dimensions.rowDim)
            scores.withMutableMatrix { scores in
                absorbed.withMatrix { absorbed in
                    let heads = absorbed.reshaped(rows: dimensions.heads, columns: dimensions.rowDim)
                    BLAS.multiply(heads, transposed: rows.tile(0..<visible, scratch: memory), into: scores)
                }
            }
        }
        return try Softmax.apply(scores, scale: scale)
    }
}

extension LatentAttention {
    /// Attends causally to the tokens of a paged cache, or to those of a selection.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, nopeDim + ropeDim]`, the last part rotated.
    ///   - latents: the sequence so far, the query tokens' own rows last.
    ///   - projection: forms keys and values from latents.
    ///   - selection: positions in the sequence, a set for each query token; nil for all visible ones.
    ///   - form: which computation to run; nil for the one with fewer operations.
    /// - Returns: output `[queryTokens, heads, valueDim]` with its statistics.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func attend(
        _ queries: Tensor,
        to latents: borrowing PagedLatentCache,
        through projection: KeyValueProjection,
        at selection: TokenSelection? = nil,
        form: Form? = nil
    ) throws(SparseAttentionError) -> AttentionResult {
        try validate(latentDim: latents.pool.latentDim, ropeDim: latents.pool.ropeDim)
        return try latents.withRows { rows throws(SparseAttentionError) in
            try attend(queries, to: rows, through: projection, at: selection, form: form)
        }
    }
}

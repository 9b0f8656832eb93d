extension TopKAttention {
    /// Attends to the selected rows of a paged cache.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, latentDim + ropeDim]`, absorbed.
    ///   - latents: the rows of the sequence.
    ///   - selection: positions in the sequence; a slot that is negative or beyond the last row counts as empty.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score; zeros and −infinity for a row without valid slots.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func attend(
        _ queries: Tensor,
        to latents: borrowing PagedLatentCache,
        at selection: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        try latents.withRows { rows throws(SparseAttentionError) in
            try attend(queries, to: rows, at: selection, scale: scale)
        }
    }

    /// Attends to rows of a paged cache selected by where they lie in the pool, as the public kernels do.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, latentDim + ropeDim]`, absorbed.
    ///   - latents: the rows of the sequence.
    ///   - slots: `page · 64 + offset` of each selected token, −1 for none.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score; zeros and −infinity for a row without used slots.
    /// - Throws: `SparseAttentionError` when arguments do not fit together; `invalidSetting` for a slot that
    ///   holds no token of this sequence, where the public kernels would read another's.
    ///
    /// Source: FlashMLA README, `indices` of `flash_mla_with_kvcache`.
    public func attend(
        _ queries: Tensor,
        to latents: borrowing PagedLatentCache,
        atSlots slots: TokenSelection,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        try attend(queries, to: latents, at: latents.positions(of: slots), scale: scale)
    }
}

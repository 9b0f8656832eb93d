extension LightningIndexer {
    /// Selects the tokens each query token attends to, from the keys of a paged cache.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: the index keys of the sequence so far, the query tokens' own included.
    ///   - position: the position of the first query token.
    /// - Returns: the selection of positions in the sequence; at most `topK` slots, ascending, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func select(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing PagedIndexKeyCache,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        let encoding = keys.pool.encoding
        return try keys.withRows { keys throws(SparseAttentionError) in
            try select(queries: queries, weights: weights, keys: keys, encoding: encoding, from: position)
        }
    }
}

extension LightningIndexer {
    /// The scores of every pair of query token and key, visible or not, with the weights as they are given.
    ///
    /// What `scores` computes before it hides keys: the same tiles, the same bits.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`.
    ///   - weights: `[queryTokens, heads]`, all constants folded in.
    ///   - keys: `[keyTokens, headDim]`.
    ///   - workers: the threads to use.
    /// - Returns: `[queryTokens, keyTokens]`.
    /// - Precondition: the shapes fit together.
    package static func logits(
        queries: Tensor,
        weights: Tensor,
        keys: RowsView,
        workers: Workers = .all
    ) -> Tensor {
        precondition(queries.shape.rank == 3 && queries.shape[2] == keys.columns)
        precondition(weights.shape.dimensions == Array(queries.shape.dimensions.prefix(2)))
        let operands = IndexQueries(queries, weights: weights, inBFloat16: false)
        return unmasked(IndexScores(queries: operands, keys: IndexKeys(keys), workers: workers))
    }

    /// The same for keys that are E4M3 codes, with one scale each that is applied to the sum.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`.
    ///   - areCodes: whether the queries are the values of E4M3 codes, too.
    ///   - weights: `[queryTokens, heads]`, all constants folded in.
    ///   - keyCodes: `[keyTokens, headDim]`.
    ///   - keyScales: `[keyTokens]`.
    ///   - workers: the threads to use.
    /// - Returns: `[queryTokens, keyTokens]`.
    /// - Precondition: the shapes fit together.
    package static func logits(
        queries: Tensor,
        areCodes: Bool,
        weights: Tensor,
        keyCodes: UnsafeRawBufferPointer,
        keyScales: UnsafeBufferPointer<Float>,
        workers: Workers = .all
    ) -> Tensor {
        precondition(queries.shape.rank == 3)
        precondition(weights.shape.dimensions == Array(queries.shape.dimensions.prefix(2)))
        let keys = IndexKeys(
            codes: keyCodes,
            scales: keyScales,
            count: keyScales.count,
            dim: queries.shape[2]
        )
        // Every code is a bfloat16 number: where those multiply faster, nothing is lost.
        let inBFloat16 = areCodes && Kernels.multipliesBFloat16
        let operands = IndexQueries(queries, weights: weights, inBFloat16: inBFloat16)
        return unmasked(IndexScores(queries: operands, keys: keys, workers: workers))
    }

    private static func unmasked(_ scores: IndexScores) -> Tensor {
        // From a position behind the last key on, every key is visible.
        scores.all(visible: scores.keys.count, position: scores.keys.count)
    }
}

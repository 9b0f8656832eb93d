extension LatentAttention {
    /// The form with fewer operations.
    ///
    /// - Parameters:
    ///   - queryTokens: the tokens of the chunk.
    ///   - keyTokens: the tokens of the sequence, the chunk included.
    ///   - slots: the size of the selection; nil for dense attention.
    /// - Returns: the cheaper form by `Dimensions.operations`.
    public func cheapestForm(queryTokens: Int, keyTokens: Int, slots: Int?) -> Form {
        func operations(_ form: Form) -> Double {
            dimensions.operations(form, queryTokens: queryTokens, keyTokens: keyTokens, slots: slots)
        }
        return operations(.expanded) < operations(.absorbed) ? .expanded : .absorbed
    }
}

extension LatentAttention.Dimensions {
    /// Floating-point operations of one layer's attention core, the projection of keys and values included.
    ///
    /// Absorbed: each pair of tokens costs `2 · heads · (rowDim + latentDim)`, and each query token
    /// `2 · heads · latentDim · (nopeDim + valueDim)` for moving the projections. Expanded: each pair costs
    /// `2 · heads · (queryDim + valueDim)` whether selected or not, and each key token once
    /// `2 · heads · latentDim · (nopeDim + valueDim)`. Pairs above the diagonal are not counted.
    ///
    /// - Parameters:
    ///   - form: which computation.
    ///   - queryTokens: the tokens of the chunk.
    ///   - keyTokens: the tokens of the sequence, the chunk included.
    ///   - slots: the size of the selection; nil for dense attention.
    /// - Returns: operations, a multiplication and an addition counting as two.
    public func operations(
        _ form: LatentAttention.Form,
        queryTokens: Int,
        keyTokens: Int,
        slots: Int?
    ) -> Double {
        let queries = Double(queryTokens)
        let visible = Double(keyTokens) - (queries - 1) / 2  // of a query token, on average
        let projection = 2 * Double(heads * latentDim * (nopeDim + valueDim))
        switch form {
        case .absorbed:
            let seen = slots.map { min(Double($0), visible) } ?? visible
            return queries * (seen * 2 * Double(heads * (rowDim + latentDim)) + projection)
        case .expanded:
            return queries * visible * 2 * Double(heads * (queryDim + valueDim)) + Double(keyTokens)
                * projection
        }
    }
}

extension LatentAttention {
    /// What a pair of tokens costs in the expanded form when scores are hidden by a mask, against its operations.
    ///
    /// Measured on one processor (AMD Zen 5, DeepSeek-V3.2's dimensions, 4 K tokens): 1.12 in bfloat16, 1.07 in float32;
    /// gathering for the absorbed form costs a few percent too.
    private static let hidingCost = 1.15

    /// The form that takes less time: the one with fewer operations, where hidden pairs count for more.
    ///
    /// - Parameters:
    ///   - queryTokens: the tokens of the chunk.
    ///   - keyTokens: the tokens of the sequence, the chunk included.
    ///   - slots: the size of the selection; nil for dense attention.
    /// - Returns: the cheaper form by `Dimensions.operations`; a selection that leaves out some token makes each pair
    ///   of the expanded form somewhat dearer.
    public func cheapestForm(queryTokens: Int, keyTokens: Int, slots: Int?) -> Form {
        func operations(_ form: Form) -> Double {
            dimensions.operations(form, queryTokens: queryTokens, keyTokens: keyTokens, slots: slots)
        }
        var expanded = operations(.expanded)
        if let slots, slots < keyTokens {
            let pairs = dimensions.expandedPairs(queryTokens: queryTokens, keyTokens: keyTokens)
            expanded += (Self.hidingCost - 1) * pairs
        }
        return expanded < operations(.absorbed) ? .expanded : .absorbed
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
            let pairs = expandedPairs(queryTokens: queryTokens, keyTokens: keyTokens)
            return pairs + Double(keyTokens) * projection
        }
    }

    /// The operations of the expanded form that belong to pairs of tokens.
    fileprivate func expandedPairs(queryTokens: Int, keyTokens: Int) -> Double {
        let visible = Double(keyTokens) - (Double(queryTokens) - 1) / 2
        return Double(queryTokens) * visible * 2 * Double(heads * (queryDim + valueDim))
    }
}

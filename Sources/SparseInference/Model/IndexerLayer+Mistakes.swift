import SparseAttention

extension RopeLayout {
    /// The layout it is mistaken for.
    var other: RopeLayout { self == .interleaved ? .halfSplit : .interleaved }
}

extension IndexerLayer {
    /// Selects with a mistake made on purpose.
    ///
    /// Each is built from the correct indexer by giving it other operands, so that the correct path knows nothing of
    /// mistakes.
    ///
    /// - Parameters:
    ///   - mistake: which one.
    ///   - queries: `[tokens, indexHeads, indexHeadDim]`, after RoPE.
    ///   - weights: `[tokens, indexHeads]`.
    ///   - keys: all index keys so far, the new tokens' included.
    /// - Returns: the selection.
    /// - Throws: `SparseAttentionError` for operands that do not fit the mistake.
    func select(
        with mistake: Mistake,
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache
    ) throws -> TokenSelection {
        let tokens = queries.shape[0]
        let position = keys.count - tokens
        switch mistake {
        case .hadamardQueriesOnly:
            // FP8 arithmetic rotates both once more, which leaves the keys rotated alone: as wrong as the queries.
            let rotated = try queries.hadamardRotated()
            return try indexer.select(queries: rotated, weights: weights, keys: keys, from: position)
        case .headWeightsBFloat16:
            let rounded = weights.roundedToBFloat16()
            return try indexer.select(queries: queries, weights: rounded, keys: keys, from: position)
        case .scoresWithoutRelu:
            return try selectWithoutRelu(queries: queries, weights: weights, keys: keys, from: position)
        case .missingQueryScale:
            guard case .float8(let format, let activations) = indexer.precision else { break }
            let rotated = try queries.hadamardRotated().rounded(to: activations)
            let scales = try QuantizedRows(quantizing: rotated, format: format).scales
            var unscaled = weights
            for index in scales.indices {
                unscaled[index] /= scales[index]
            }
            return try indexer.select(queries: queries, weights: unscaled, keys: keys, from: position)
        case .maskAfterSelection:
            // Every token sees all keys of the chunk; those yet to come are dropped from what it chose.
            return try selectOneByOne(queries: queries, weights: weights, keys: keys) { _ in keys.count - 1 }
        case .selectionWithoutSelf:
            return try selectOneByOne(queries: queries, weights: weights, keys: keys) { $0 - 1 }
        default: break
        }
        return try indexer.select(queries: queries, weights: weights, keys: keys, from: position)
    }

    /// `x = relu(x) − relu(−x)`: twice the heads, half of them with both signs turned.
    private func selectWithoutRelu(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache,
        from position: Int
    ) throws -> TokenSelection {
        let (tokens, heads, width) = (queries.shape[0], indexer.heads, indexer.headDim)
        let doubled = try LightningIndexer(
            heads: 2 * heads,
            headDim: width,
            topK: indexer.topK.count,
            precision: indexer.precision,
            workers: indexer.workers
        )
        let (q, w) = (queries.elements, weights.elements)
        let allQueries = (0..<tokens).flatMap { token -> [Float] in
            let row = Array(q[token * heads * width..<(token + 1) * heads * width])
            return row + row.map { -$0 }
        }
        let allWeights = (0..<tokens).flatMap { token -> [Float] in
            let row = Array(w[token * heads..<(token + 1) * heads])
            return row + row.map { -$0 }
        }
        return try doubled.select(
            queries: Tensor(allQueries, shape: [tokens, 2 * heads, width]),
            weights: Tensor(allWeights, shape: [tokens, 2 * heads]),
            keys: keys,
            from: position
        )
    }

    /// Selects for each token as if it stood at another position, and keeps what it may see.
    private func selectOneByOne(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache,
        at position: (Int) -> Int
    ) throws -> TokenSelection {
        let tokens = queries.shape[0]
        let slots = min(indexer.topK.count, keys.count)
        var positions: [Int32] = []
        for token in 0..<tokens {
            let own = keys.count - tokens + token
            let shown = position(own)
            var chosen: [Int32] = []
            if shown >= 0 {
                let selection = try indexer.select(
                    queries: queries.slice(token..<token + 1),
                    weights: weights.slice(token..<token + 1),
                    keys: keys,
                    from: shown
                )
                chosen = selection.positions.filter { $0 >= 0 && $0 <= own }
            }
            positions += chosen + [Int32](repeating: TokenSelection.unused, count: slots - chosen.count)
        }
        return try TokenSelection(positions: positions, queryTokens: tokens, slots: slots)
    }
}

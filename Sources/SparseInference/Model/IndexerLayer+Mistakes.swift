import SparseAttention

extension RopeLayout {
    /// The layout it is mistaken for.
    var other: RopeLayout { self == .interleaved ? .halfSplit : .interleaved }
}

/// Scores and selections with a mistake made on purpose.
///
/// Each is built from the correct indexer by giving it other operands, so that the correct path knows nothing of
/// mistakes.
extension IndexerLayer {
    /// The operands as a mistake of the scores has them; unchanged without one.
    func mistaken(_ operands: Operands) throws -> Operands {
        var operands = operands
        switch arithmetic.mistake {
        case .hadamardQueriesOnly:
            // FP8 arithmetic rotates both once more, which leaves the keys rotated alone: as wrong as the queries.
            operands.queries = try operands.queries.hadamardRotated()
        case .headWeightsBFloat16:
            operands.weights = operands.weights.roundedToBFloat16()
        case .scoresWithoutRelu:
            operands = try withoutRelu(operands)
        case .missingQueryScale:
            guard case .float8(let format, let activations) = indexer.precision else { break }
            let rotated = try operands.queries.hadamardRotated().rounded(to: activations)
            let scales = try QuantizedRows(quantizing: rotated, format: format).scales
            for index in scales.indices {
                operands.weights[index] /= scales[index]
            }
        default: break
        }
        return operands
    }

    /// Where a token seems to stand to a mistake of the selection; nil without one.
    func mistakenPosition(keyTokens: Int, tokens: Int) -> ((_ position: Int) -> Int)? {
        switch arithmetic.mistake {
        // Every token sees all keys of the chunk; those yet to come are dropped from what it chose.
        case .maskAfterSelection: { _ in keyTokens - 1 }
        case .selectionWithoutSelf: { $0 - 1 }
        default: nil
        }
    }

    /// `x = relu(x) − relu(−x)`: twice the heads, half of them with both signs turned.
    private func withoutRelu(_ operands: Operands) throws -> Operands {
        let (tokens, heads, width) = (operands.tokens, indexer.heads, indexer.headDim)
        func doubled(_ tensor: Tensor, shape: Shape) throws -> Tensor {
            let (elements, row) = (tensor.elements, tensor.count / max(tokens, 1))
            return try Tensor(
                (0..<tokens).flatMap { token -> [Float] in
                    let part = Array(elements[token * row..<(token + 1) * row])
                    return part + part.map { -$0 }
                },
                shape: shape
            )
        }
        return Operands(
            queries: try doubled(operands.queries, shape: [tokens, 2 * heads, width]),
            // A score divides by the square root of the number of heads, which is not to change.
            weights: try doubled(operands.weights, shape: [tokens, 2 * heads])
                .scaled(by: Float(2).squareRoot()),
            indexer: try LightningIndexer(
                heads: 2 * heads,
                headDim: width,
                topK: indexer.topK.count,
                precision: indexer.precision,
                workers: indexer.workers
            )
        )
    }

    /// Selects for each token as if it stood at another position, and keeps what it may see.
    func selectOneByOne(
        _ operands: Operands,
        keys: borrowing IndexKeyCache,
        at position: (Int) -> Int
    ) throws -> TokenSelection {
        let tokens = operands.tokens
        let slots = min(operands.indexer.topK.count, keys.count)
        var positions: [Int32] = []
        for token in 0..<tokens {
            let own = keys.count - tokens + token
            let shown = position(own)
            var chosen: [Int32] = []
            if shown >= 0 {
                let selection = try operands.indexer.select(
                    queries: operands.queries.slice(token..<token + 1),
                    weights: operands.weights.slice(token..<token + 1),
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

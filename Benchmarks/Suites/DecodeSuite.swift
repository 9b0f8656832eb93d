import SparseAttention

/// One new token against a sequence: dense against sparse.
///
/// Both start from absorbed queries `[1, heads, latentDim + ropeDim]` and end with sums of latents. Moving
/// the key projection into the query and applying the value projection cost both sides the same and are not
/// timed. Dense is attention to all rows; sparse is index scores, selection, and attention to the selected, or up to
/// top-k, where there is nothing to choose, attention to all rows it keeps.
struct DecodeSuite {
    /// The sequence, and the operators.
    let layer: LayerPair
    /// The threads to use.
    let workers: Workers

    /// Names of the parts of the sparse side.
    static let (selectionPart, corePart) = ("index scores and top-k", "sparse core")

    /// Dense and sparse decoding at a position.
    func cases(at position: Int) throws -> [BenchmarkCase] {
        try layer.grow(to: position)
        return [dense(at: position), try sparse(at: position)]
    }

    private func dense(at position: Int) -> BenchmarkCase {
        all(of: layer.dense, at: position, name: "dense-decode")
    }

    /// Attention to all rows.
    private func all(of data: LayerData, at position: Int, name: String) -> BenchmarkCase {
        let shape = layer.shape
        let attention = layer.denseCore(workers: workers)
        let queries = data.absorbedQueries(tokens: 1)
        return BenchmarkCase(
            name: name,
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: shape.denseCore(tokens: Double(position)),
            bytes: data.latentBytes(tokens: Double(position))
        ) { laps in
            laps.time("dense core") {
                data.latents.withRows { rows in
                    _ = attention.attend(
                        queries,
                        to: rows,
                        valueDim: shape.attention.latentDim,
                        position: position - 1,
                        scale: shape.scale
                    )
                }
            }
        }
    }

    private func sparse(at position: Int) throws -> BenchmarkCase {
        let (shape, data) = (layer.shape, layer.sparse)
        let indexer = try layer.indexer(workers: workers)
        guard indexer.chooses(among: position) else {
            return all(of: data, at: position, name: "sparse-decode")
        }
        let attention = layer.sparseCore(workers: workers)
        let queries = data.absorbedQueries(tokens: 1)
        let indexQueries = data.indexQueries(tokens: 1)
        let weights = data.headWeights(tokens: 1)
        let tokens = Double(position)
        return BenchmarkCase(
            name: "sparse-decode",
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: shape.indexScores(tokens: tokens) + shape.sparseCore(tokens: tokens),
            bytes: data.indexKeyBytes(tokens: tokens)
                + data.latentBytes(tokens: min(Double(shape.topK), tokens))
        ) { laps in
            let selection = try laps.time(Self.selectionPart) {
                try indexer.select(
                    queries: indexQueries,
                    weights: weights,
                    keys: data.indexKeys,
                    from: position - 1
                )
            }
            _ = try laps.time(Self.corePart) {
                try attention.attend(queries, to: data.latents, at: selection, scale: shape.scale)
            }
        }
    }
}

import SparseAttention

/// What memory a prefill chunk takes beside its inputs, its caches and its result.
struct MemorySuite {
    /// The sequence, and the operators.
    let layer: LayerPair
    /// The threads to use.
    let workers: Workers
    /// Query tokens of the chunk.
    let chunk: Int

    /// What one chunk took.
    struct Row: Encodable {
        let precision: String
        let position: Int
        /// Bytes of the caches.
        let cacheBytes: Int
        /// Bytes of the result.
        let resultBytes: Int
        /// Bytes held at most while the chunk ran, beyond what was held before it and its result.
        let scratchBytes: Int
        /// Bytes the scores of all index heads would take, were they kept.
        let scoreBytes: Int
    }

    /// Measures the chunk that ends at a position: index scores, selection, attention to the selected.
    ///
    /// - Returns: what it took; nil where the system does not tell.
    func row(at position: Int) throws -> Row? {
        try layer.grow(to: position)
        let tokens = min(chunk, position)
        let data = layer.sparse
        let (queries, weights) = (data.indexQueries(tokens: tokens), data.headWeights(tokens: tokens))
        let absorbed = data.absorbedQueries(tokens: tokens)
        guard ProcessMemory.resetPeak() else { return nil }
        let before = ProcessMemory.peak
        let selection = try layer.indexer(workers: workers).select(
            queries: queries,
            weights: weights,
            keys: data.indexKeys,
            from: position - tokens
        )
        let result = try layer.sparseCore(workers: workers).attend(
            absorbed,
            to: data.latents,
            at: selection,
            scale: layer.shape.scale
        )
        let taken = ProcessMemory.peak - before
        let resultBytes = (result.output.count + result.logSumExp.count) * MemoryLayout<Float>.stride
        return Row(
            precision: layer.products.rawValue,
            position: position,
            cacheBytes: position * (data.latents.bytesPerToken + data.indexKeys.bytesPerToken),
            resultBytes: resultBytes,
            scratchBytes: max(0, taken - resultBytes),
            scoreBytes: layer.shape.indexHeads * tokens * position * MemoryLayout<Float>.stride
        )
    }
}

import SparseAttention

/// The sizes of one attention layer with its indexer, and what its operators cost by count.
struct LayerShape {
    /// The attention's sizes.
    let attention: LatentAttention.Dimensions
    /// The number of index heads.
    let indexHeads: Int
    /// The width of index queries and keys.
    let indexHeadDim: Int
    /// The tokens a query token attends to.
    let topK: Int

    /// A layer of DeepSeek-V3.2.
    ///
    /// Source: the model's `config.json`.
    static func deepSeekV32() throws -> LayerShape {
        LayerShape(
            attention: try LatentAttention.Dimensions(
                heads: 128,
                latentDim: 512,
                ropeDim: 64,
                nopeDim: 128,
                valueDim: 128
            ),
            indexHeads: 64,
            indexHeadDim: 128,
            topK: 2048
        )
    }

    /// What scores are multiplied by: one over the square root of a query's width.
    var scale: Float { 1 / Float(attention.queryDim).squareRoot() }
}

// MARK: - Operations of one query token

extension LayerShape {
    /// The dense core in absorbed form: `2 · heads · (rowDim + latentDim) · tokens`.
    ///
    /// Every head multiplies its query with every row, and sums the latent part of every row.
    func denseCore(tokens: Double) -> Double {
        2 * Double(attention.heads * (attention.rowDim + attention.latentDim)) * tokens
    }

    /// The sparse core in absorbed form: the dense one over `min(topK, tokens)` rows.
    func sparseCore(tokens: Double) -> Double {
        denseCore(tokens: min(Double(topK), tokens))
    }

    /// The index scores: `2 · indexHeads · indexHeadDim · tokens`.
    ///
    /// The cut at zero, the weighted sum over heads and the selection are not counted.
    func indexScores(tokens: Double) -> Double {
        2 * Double(indexHeads * indexHeadDim) * tokens
    }

    /// The length from which scoring costs more operations than the sparse core: 34 816 for DeepSeek-V3.2.
    var indexOvertakesCore: Double {
        sparseCore(tokens: .infinity) / indexScores(tokens: 1)
    }
}

// MARK: - Bytes of one cached token

extension LayerShape {
    /// What a cached token takes: packed as deployed, with its index key, against latents alone in bfloat16.
    var cacheSummary: String {
        let (latentDim, ropeDim) = (attention.latentDim, attention.ropeDim)
        let packed = CacheFormat.float8.latentBytes(latentDim: latentDim, ropeDim: ropeDim)
        let key = CacheFormat.float8.indexKeyBytes(indexHeadDim: indexHeadDim)
        let dense = CacheFormat.bfloat16.latentBytes(latentDim: latentDim, ropeDim: ropeDim)
        return "cache      \(packed + key) B a token in FP8 (latent \(packed), index key \(key)), "
            + "\(dense) B dense in bfloat16"
    }
}

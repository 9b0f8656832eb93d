import SparseAttention

/// The same random sequence as dense and as sparse attention keep it, with the operators that read it.
///
/// In float32 both read one cache of float32. In bfloat16 dense attention reads bfloat16 latents, and sparse attention
/// what DeepSeek-V3.2 deploys: packed FP8 latents and the FP8 codes of index keys.
final class LayerPair {
    /// The layer's sizes.
    let shape: LayerShape
    /// What enters products.
    let products: ProductArithmetic
    /// The arithmetic of index scores.
    let indexScores: LightningIndexer.Precision
    /// What dense attention reads.
    let dense: LayerData
    /// What sparse attention reads.
    let sparse: LayerData

    /// An empty sequence with room for `capacity` tokens.
    init(shape: LayerShape, precision: ProductArithmetic, capacity: Int, noise: Noise) throws {
        self.shape = shape
        products = precision
        switch precision {
        case .float32:
            indexScores = .float32
            dense = try LayerData(shape: shape, capacity: capacity, noise: noise)
            sparse = dense
        case .bfloat16:
            indexScores = .float8(.powerOfTwo)
            dense = try LayerData(shape: shape, format: .bfloat16, capacity: capacity, noise: noise)
            sparse = try LayerData(
                shape: shape,
                format: .float8,
                indexKeys: indexScores.keyEncoding(for: .float8),
                capacity: capacity,
                noise: noise
            )
        }
    }

    /// The ceiling that shares refer to.
    var ceiling: Ceiling { products == .float32 ? .sgemm : .bf16Dot }

    /// The layer's indexer.
    func indexer(workers: Workers) throws -> LightningIndexer {
        try LightningIndexer(
            heads: shape.indexHeads,
            headDim: shape.indexHeadDim,
            topK: shape.topK,
            precision: indexScores,
            workers: workers
        )
    }

    /// Attention to a selection.
    func sparseCore(workers: Workers) -> TopKAttention {
        TopKAttention(valueDim: shape.attention.latentDim, products: products, workers: workers)
    }

    /// Attention to all tokens.
    func denseCore(workers: Workers) -> DenseAttention {
        DenseAttention(products: products, workers: workers)
    }

    /// Appends tokens up to a length.
    func grow(to tokens: Int) throws {
        try dense.grow(to: tokens)
        try sparse.grow(to: tokens)
    }
}

import SparseAttention

/// One layer's caches and projection, filled with seeded random numbers as far as they are needed.
///
/// Numbers have variance 1, like a normalised latent's; the projection's keep that variance.
final class LayerData {
    /// The layer's sizes.
    let shape: LayerShape
    /// Where all random numbers come from.
    let noise: Noise
    /// The latent rows so far.
    private(set) var latents: LatentCache
    /// The index keys so far.
    private(set) var indexKeys: IndexKeyCache
    /// `[heads · (nopeDim + valueDim), latentDim]`.
    let projection: WeightMatrix

    /// Tokens appended at a time.
    private static let chunk = 4096

    /// An empty sequence with room for `capacity` tokens.
    ///
    /// - Parameters:
    ///   - shape: the layer's sizes.
    ///   - format: how latents are stored.
    ///   - encoding: what index keys are; nil for plain ones in the same format.
    ///   - capacity: the most tokens.
    ///   - noise: where all random numbers come from.
    /// - Throws: `SparseAttentionError` for a cache that cannot be made.
    init(
        shape: LayerShape,
        format: CacheFormat = .float32,
        indexKeys encoding: IndexKeyEncoding? = nil,
        capacity: Int,
        noise: Noise
    ) throws {
        let sizes = shape.attention
        self.shape = shape
        self.noise = noise
        latents = try LatentCache(
            capacity: capacity,
            latentDim: sizes.latentDim,
            ropeDim: sizes.ropeDim,
            format: format
        )
        indexKeys = try IndexKeyCache(
            capacity: capacity,
            indexHeadDim: shape.indexHeadDim,
            encoding: encoding ?? .plain(format)
        )
        var weight = noise.stream(0).tensor([sizes.heads * sizes.projectionRows, sizes.latentDim])
        weight.withMutableMatrix { weight in
            let factor = 1 / Float(weight.columns).squareRoot()
            Kernels.scale(weight.base, by: factor, count: weight.rows * weight.columns)
        }
        projection = WeightMatrix(weight)
    }

    /// Appends tokens up to a length.
    func grow(to tokens: Int) throws {
        let sizes = shape.attention
        while latents.count < tokens {
            let (start, count) = (latents.count, min(Self.chunk, tokens - latents.count))
            try latents.append(
                latents: noise.stream(1).tensor([count, sizes.latentDim], offset: start * sizes.latentDim),
                ropeKeys: noise.stream(2).tensor([count, sizes.ropeDim], offset: start * sizes.ropeDim)
            )
            try indexKeys.append(
                noise.stream(3).tensor([count, shape.indexHeadDim], offset: start * shape.indexHeadDim)
            )
        }
    }

    /// The latent rows of a number of tokens, in bytes.
    func latentBytes(tokens: Double) -> Double { tokens * Double(latents.bytesPerToken) }

    /// The index keys of a number of tokens, in bytes.
    func indexKeyBytes(tokens: Double) -> Double { tokens * Double(indexKeys.bytesPerToken) }

    /// Queries of some heads, `[tokens, heads, nopeDim + ropeDim]`.
    func queries(tokens: Int, heads: Int) -> Tensor {
        noise.stream(4).tensor([tokens, heads, shape.attention.queryDim])
    }

    /// Absorbed queries of all heads, `[tokens, heads, latentDim + ropeDim]`.
    func absorbedQueries(tokens: Int) -> Tensor {
        noise.stream(5).tensor([tokens, shape.attention.heads, shape.attention.rowDim])
    }

    /// Index queries, `[tokens, indexHeads, indexHeadDim]`.
    func indexQueries(tokens: Int) -> Tensor {
        noise.stream(6).tensor([tokens, shape.indexHeads, shape.indexHeadDim])
    }

    /// Weights of the index heads, `[tokens, indexHeads]`.
    func headWeights(tokens: Int) -> Tensor {
        noise.stream(7).tensor([tokens, shape.indexHeads])
    }
}

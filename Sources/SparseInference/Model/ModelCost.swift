public import SparseAttention

/// What a model takes and what a token costs, counted from its configuration.
public struct ModelCost: Equatable, Sendable {
    /// Operations of one token, a multiplication and an addition counting as two.
    public struct Operations: Equatable, Sendable {
        /// Linear layers, embeddings not included.
        public let linear: Double
        /// Index scores.
        public let indexer: Double
        /// The attention core over the tokens it sees, in the cheaper form for one token.
        public let attention: Double

        /// All of them.
        public var total: Double { linear + indexer + attention }
    }

    private let configuration: ModelConfiguration

    /// The cost of a model.
    public init(_ configuration: ModelConfiguration) {
        self.configuration = configuration
    }

    /// Parameters one token passes through: the chosen experts only, the output head, not the embedding.
    public var activeParameters: Int {
        let sizes = configuration
        let perExpert = 3 * sizes.hiddenDim * sizes.expertFeedForwardDim
        let layers = (0..<sizes.layers).reduce(0) { sum, layer in
            sum + attentionParameters(layer: layer)
                + (sizes.isDense(layer: layer)
                    ? 3 * sizes.hiddenDim * sizes.feedForwardDim
                    : (sizes.expertsPerToken + sizes.sharedExperts) * perExpert + sizes.routedExperts
                        * sizes.hiddenDim)
        }
        return layers + sizes.vocabularySize * sizes.hiddenDim
    }

    /// Bytes one token takes in the caches of all layers.
    ///
    /// - Parameter format: how caches store their numbers.
    /// - Returns: bytes.
    public func cacheBytesPerToken(_ format: CacheFormat) -> Int {
        let latent = format.latentBytes(latentDim: configuration.latentDim, ropeDim: configuration.ropeDim)
        let indexKey = format.indexKeyBytes(indexHeadDim: configuration.indexer?.headDim ?? 0)
        return configuration.layers * latent + indexedLayers * indexKey
    }

    /// Operations to decode the token that sees `visible` tokens, itself included.
    ///
    /// - Parameters:
    ///   - visible: tokens so far.
    ///   - mode: which of them the attention sees.
    /// - Returns: the operations by kind.
    /// - Throws: `SparseAttentionError` for a configuration without heads.
    public func operations(visible: Int, mode: AttentionMode) throws -> Operations {
        let sizes = configuration
        let dimensions = try LatentAttention.Dimensions(
            heads: sizes.heads,
            latentDim: sizes.latentDim,
            ropeDim: sizes.ropeDim,
            nopeDim: sizes.nopeDim,
            valueDim: sizes.valueDim
        )
        let indexer = mode == .sparse ? sizes.indexer : nil
        let isSelecting = indexer.map { visible > $0.topK } ?? false
        let slots = isSelecting ? indexer?.topK : nil
        let attention =
            LatentAttention.Form.allCases.map { form in
                dimensions.operations(form, queryTokens: 1, keyTokens: visible, slots: slots)
            }.min() ?? 0
        let projections = 2 * Double(dimensions.heads * dimensions.latentDim * dimensions.projectionRows)
        let scores = indexer.map { 2 * Double($0.heads * $0.headDim) * Double(visible) } ?? 0
        return Operations(
            // The key-value projection is counted with the attention, whose form decides its cost.
            linear: 2 * Double(activeParameters) - Double(sizes.layers) * projections,
            indexer: isSelecting ? scores * Double(indexedLayers) : 0,
            attention: attention * Double(sizes.layers)
        )
    }

    private var indexedLayers: Int {
        configuration.indexer.map { indexer in
            (0..<configuration.layers).count { indexer.sharing(layer: $0) == .full }
        } ?? 0
    }

    private func attentionParameters(layer: Int) -> Int {
        let sizes = configuration
        let queryRows = sizes.heads * (sizes.nopeDim + sizes.ropeDim)
        let query =
            sizes.queryLatentDim.map { $0 * (sizes.hiddenDim + queryRows) } ?? queryRows * sizes.hiddenDim
        let latent = (sizes.latentDim + sizes.ropeDim) * sizes.hiddenDim
        let keyValue = sizes.heads * (sizes.nopeDim + sizes.valueDim) * sizes.latentDim
        let output = sizes.hiddenDim * sizes.heads * sizes.valueDim
        guard let indexer = sizes.indexer, indexer.sharing(layer: layer) == .full else {
            return query + latent + keyValue + output
        }
        let index =
            indexer.heads * indexer.headDim * (sizes.queryLatentDim ?? 0)
            + (indexer.headDim + indexer.heads) * sizes.hiddenDim
        return query + latent + keyValue + output + index
    }
}

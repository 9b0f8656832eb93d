import SparseAttention

/// What a token costs by its position, dense against sparse: operations, bytes, seconds and money.
///
/// Each part of the work takes as long as its operations or its bytes do, whichever is more. Up to where gathering pays,
/// sparse prefill runs as dense attention under a mask, as V3.2 does for short prompts.
///
/// Source: V3.2-Exp report, Figure 3.
public struct TokenCost: Sendable {
    /// A phase of generation.
    public enum Phase: String, Sendable, Codable, CaseIterable {
        /// Reading a prompt.
        case prefill
        /// Writing an answer.
        case decode
    }

    /// The cost of one token.
    public struct Row: Equatable, Sendable, Codable {
        /// The tokens it sees, itself included.
        public var position: Int
        /// The phase.
        public var phase: Phase
        /// Whether attention is sparse.
        public var isSparse: Bool
        /// Operations, a multiplication and an addition counting as two.
        public var operations: Double
        /// Bytes read from caches and, while decoding a stated number of sequences, of weights.
        public var bytes: Double
        /// Seconds of linear layers.
        public var linearSeconds: Double
        /// Seconds of the indexer's projections and scores.
        public var indexerSeconds: Double
        /// Seconds of the attention core.
        public var attentionSeconds: Double
        /// USD for a million such tokens.
        public var dollarsPerMillion: Double

        /// All of it.
        public var seconds: Double { linearSeconds + indexerSeconds + attentionSeconds }
    }

    /// What could be different about the indexer.
    public struct Change: Equatable, Sendable {
        /// The tokens it selects; the model's when nil.
        public var topK: Int?
        /// Its heads; the model's when nil.
        public var heads: Int?
        /// Layers that share one selection; the model's sharing when nil.
        public var layersPerSelection: Int?
        /// Whether keys and scores are bfloat16: twice the bytes, half the rate.
        public var isBFloat16: Bool

        /// A change.
        public init(
            topK: Int? = nil,
            heads: Int? = nil,
            layersPerSelection: Int? = nil,
            isBFloat16: Bool = false
        ) {
            self.topK = topK
            self.heads = heads
            self.layersPerSelection = layersPerSelection
            self.isBFloat16 = isBFloat16
        }
    }

    /// The indexer whose cost is told.
    private struct Indexer {
        var topK: Int
        var heads: Int
        var headDim: Int
        var layers: Int  // with an indexer of their own
        var isBFloat16: Bool
    }

    private let configuration: ModelConfiguration
    private let dimensions: LatentAttention.Dimensions
    private let cost: ModelCost
    private let rates: DeviceRates
    private let indexer: Indexer?
    private let ownIndexer: Indexer?  // the model's, unchanged

    /// The cost of a model on a device.
    ///
    /// - Parameters:
    ///   - configuration: the model's.
    ///   - rates: the device's.
    ///   - change: what is different about the indexer.
    /// - Throws: `SparseAttentionError` for a configuration without heads.
    public init(_ configuration: ModelConfiguration, on rates: DeviceRates, with change: Change = Change())
        throws
    {
        self.configuration = configuration
        self.rates = rates
        func indexer(_ change: Change) -> Indexer? {
            guard let sizes = configuration.indexer else { return nil }
            return Indexer(
                topK: change.topK ?? sizes.topK,
                heads: change.heads ?? sizes.heads,
                headDim: sizes.headDim,
                layers: change.layersPerSelection.map { (configuration.layers + $0 - 1) / max($0, 1) }
                    ?? (0..<configuration.layers).count { sizes.sharing(layer: $0) == .full },
                isBFloat16: change.isBFloat16
            )
        }
        self.indexer = indexer(change)
        ownIndexer = indexer(Change())
        cost = ModelCost(configuration)
        dimensions = try LatentAttention.Dimensions(
            heads: configuration.heads,
            latentDim: configuration.latentDim,
            ropeDim: configuration.ropeDim,
            nopeDim: configuration.nopeDim,
            valueDim: configuration.valueDim
        )
    }

    /// The cost of the token at a position.
    ///
    /// - Parameters:
    ///   - position: the tokens it sees, itself included; at least 1.
    ///   - phase: whether it is read or written.
    ///   - isSparse: whether it attends to selected tokens; a model without indexer attends to all.
    /// - Returns: operations, bytes, seconds and money.
    /// - Throws: as the initialiser.
    public func row(at position: Int, _ phase: Phase, isSparse: Bool) throws -> Row {
        let mode: AttentionMode = isSparse && indexer != nil ? .sparse : .dense
        let projections = mode == .sparse ? 2 * Double(indexProjectionParameters(of: indexer)) : 0
        let all = try cost.operations(visible: 1, mode: mode).linear
        let linear = all - 2 * Double(indexProjectionParameters(of: ownIndexer))
        let linearBytes =
            phase == .decode
            ? (rates.batch.map { Double(cost.activeParameters) * rates.weightBytes / $0 } ?? 0) : 0
        let attention = attention(at: position, phase, mode)
        let scores = scores(at: position, phase, mode)
        var row = Row(
            position: position,
            phase: phase,
            isSparse: mode == .sparse,
            operations: linear + projections + attention.operations + scores.operations,
            bytes: linearBytes + attention.bytes + scores.bytes,
            linearSeconds: max(linear / rate(rates.linear, phase), linearBytes / rates.memory),
            indexerSeconds: projections / rate(rates.indexProjections, phase) + scores.seconds,
            attentionSeconds: attention.seconds,
            dollarsPerMillion: 0
        )
        row.dollarsPerMillion = row.seconds * rates.dollarsPerHour / 3600 * 1e6
        return row
    }

    /// The first position from which one cost stays above another, as far as a million tokens; nil when there is none.
    ///
    /// - Parameters:
    ///   - above: the cost that grows faster.
    ///   - below: the other.
    /// - Returns: the position, to a token.
    /// - Throws: what the costs throw.
    public func crossing(
        where above: (Int) throws -> Double,
        exceeds below: (Int) throws -> Double
    ) rethrows -> Int? {
        var (low, high) = (1, 1 << 20)
        guard try above(high) > below(high) else { return nil }
        guard try above(low) <= below(low) else { return low }
        while high - low > 1 {
            let middle = (low + high) / 2
            if try above(middle) > below(middle) { high = middle } else { low = middle }
        }
        return high
    }

    /// Where sparse becomes cheaper than dense.
    ///
    /// - Parameter phase: whether tokens are read or written.
    /// - Returns: the first position from which it stays cheaper; nil when there is none up to a million tokens.
    /// - Throws: as `row(at:_:isSparse:)`.
    public func sparseOvertakes(_ phase: Phase) throws -> Int? {
        try crossing {
            try row(at: $0, phase, isSparse: false).seconds
        } exceeds: {
            try row(at: $0, phase, isSparse: true).seconds
        }
    }

    /// Where index scores take more operations than the attention core to the selected tokens, layer by layer.
    public var indexerOvertakes: Int? {
        guard let indexer else { return nil }
        let core =
            Double(dimensions.heads * (dimensions.rowDim + dimensions.latentDim)) * Double(indexer.topK)
        return crossing {
            Double(indexer.heads * indexer.headDim) * Double($0)
        } exceeds: { _ in
            core
        }
    }

    // MARK: Parts

    private struct Part {
        var operations: Double
        var bytes: Double
        var seconds: Double
    }

    private func attention(at position: Int, _ phase: Phase, _ mode: AttentionMode) -> Part {
        let topK = mode == .sparse ? indexer?.topK : nil
        let isSelecting = topK.map { position > $0 } ?? false
        let dense = core(
            phase == .prefill ? .expanded : .absorbed,
            slots: position,
            rates.denseAttention,
            phase
        )
        guard isSelecting, let topK else { return dense }
        let sparse = core(.absorbed, slots: topK, rates.sparseAttention, phase, isPacked: true)
        return phase == .prefill && dense.seconds < sparse.seconds ? dense : sparse
    }

    private func core(
        _ form: LatentAttention.Form,
        slots: Int,
        _ rate: DeviceRates.Rate,
        _ phase: Phase,
        isPacked: Bool = false
    ) -> Part {
        let width: Int
        switch form {
        case .expanded: width = dimensions.nopeDim + dimensions.ropeDim + dimensions.valueDim
        case .absorbed: width = 2 * dimensions.latentDim + dimensions.ropeDim
        }
        let layers = Double(configuration.layers)
        let operations = 2 * Double(dimensions.heads * width) * Double(slots) * layers
        let format: CacheFormat =
            rates.cache == .float32 ? .float32 : isPacked ? .float8 : .bfloat16
        let row = format.latentBytes(latentDim: dimensions.latentDim, ropeDim: dimensions.ropeDim)
        // A prompt's tokens share what they read.
        let bytes = phase == .decode ? Double(row * slots) * layers / rates.queriesPerRead : 0
        let seconds = max(operations / self.rate(rate, phase), bytes / rates.memory)
        return Part(operations: operations, bytes: bytes, seconds: seconds)
    }

    private func scores(at position: Int, _ phase: Phase, _ mode: AttentionMode) -> Part {
        guard mode == .sparse, let indexer, position > indexer.topK else {
            return Part(operations: 0, bytes: 0, seconds: 0)
        }
        let pairs = Double(position) * Double(indexer.layers)
        let operations = 2 * Double(indexer.heads * indexer.headDim) * pairs
        let format: CacheFormat =
            rates.cache == .float32 ? .float32 : indexer.isBFloat16 ? .bfloat16 : .float8
        let key = Double(format.indexKeyBytes(indexHeadDim: indexer.headDim))
        let bytes = phase == .decode ? key * pairs / rates.queriesPerRead : 0
        let rate = rate(rates.indexer, phase) / (indexer.isBFloat16 ? 2 : 1)
        return Part(
            operations: operations,
            bytes: bytes,
            seconds: max(operations / rate, bytes / rates.memory)
        )
    }

    private func indexProjectionParameters(of indexer: Indexer?) -> Int {
        guard let indexer else { return 0 }
        let queries = indexer.heads * indexer.headDim * (configuration.queryLatentDim ?? 0)
        return indexer.layers * (queries + (indexer.headDim + indexer.heads) * configuration.hiddenDim)
    }

    private func rate(_ rate: DeviceRates.Rate, _ phase: Phase) -> Double {
        phase == .prefill ? rate.prefill : rate.decode
    }
}

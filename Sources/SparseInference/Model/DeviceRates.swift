/// What a device reaches in the kernels a token goes through, and what it costs.
public struct DeviceRates: Equatable, Sendable, Codable {
    /// A rate for each phase, in operations a second.
    public struct Rate: Equatable, Sendable, Codable {
        /// While a prompt is read.
        public var prefill: Double
        /// While an answer is written.
        public var decode: Double

        /// A rate for each phase.
        public init(prefill: Double, decode: Double) {
            self.prefill = prefill
            self.decode = decode
        }

        /// The same rate in both phases.
        public init(_ both: Double) {
            self.init(prefill: both, decode: both)
        }
    }

    /// What the device is called.
    public var name: String
    /// What an hour costs, in USD.
    public var dollarsPerHour: Double
    /// Linear layers.
    public var linear: Rate
    /// The indexer's own projections, with what is done to their results.
    public var indexProjections: Rate
    /// Attention to all tokens.
    public var denseAttention: Rate
    /// Attention to gathered tokens.
    public var sparseAttention: Rate
    /// Index scores.
    public var indexer: Rate
    /// Memory read, in bytes a second.
    public var memory: Double
    /// Query tokens of a sequence that share one reading of its caches while decoding: 2 with one predicted token.
    public var queriesPerRead: Double
    /// Sequences that share one reading of the weights while decoding; nil where that is not what limits.
    public var batch: Double?
    /// The number format of caches.
    public var cache: Cache
    /// Bytes of a weight.
    public var weightBytes: Double

    /// How caches store their numbers: bytes of a latent row with dense and with sparse attention, and of an index key.
    public enum Cache: String, Equatable, Sendable, Codable {
        /// Latents in bfloat16; with sparse attention packed FP8 rows, FP8 index keys.
        case deployed
        /// Everything in float32.
        case float32
    }

    /// The setting of the V3.2-Exp report's Figure 3: H800, 2 USD an hour.
    ///
    /// Kernels as FlashMLA publishes them (dense decode 660, sparse prefill 640 TFLOP/s, 3000 GB/s) where the figure does not
    /// tell otherwise. Read from the figure: linear layers at position 0 (0.055 and about 0.076 USD, and for the indexer's
    /// projections 0.005 more), the slopes of dense attention and of the indexer, and, from where decode's curves cross,
    /// sparse decode, which lies between the 250 and 410 TFLOP/s FlashMLA reports.
    public static let h800 = DeviceRates(
        name: "H800",
        dollarsPerHour: 2,
        linear: Rate(prefill: 750e12, decode: 540e12),
        indexProjections: Rate(185e12),
        denseAttention: Rate(prefill: 597e12, decode: 600e12),
        sparseAttention: Rate(prefill: 640e12, decode: 290e12),
        indexer: Rate(750e12),
        memory: 3000e9,
        queriesPerRead: 2,
        batch: nil,
        cache: .deployed,
        weightBytes: 1
    )

    /// Rates of a device whose products all run at one rate, a single sequence at a time.
    ///
    /// - Parameters:
    ///   - name: what it is called.
    ///   - peak: operations a second.
    ///   - memory: bytes a second.
    ///   - dollarsPerHour: what an hour costs.
    ///   - batch: sequences that share one reading of the weights.
    ///   - weightBytes: bytes of a weight.
    public init(
        name: String,
        peak: Double,
        memory: Double,
        dollarsPerHour: Double,
        batch: Double = 1,
        weightBytes: Double = 4
    ) {
        self.init(
            name: name,
            dollarsPerHour: dollarsPerHour,
            linear: Rate(peak),
            indexProjections: Rate(peak),
            denseAttention: Rate(peak),
            sparseAttention: Rate(peak),
            indexer: Rate(peak),
            memory: memory,
            queriesPerRead: 1,
            batch: batch,
            cache: .float32,
            weightBytes: weightBytes
        )
    }

    init(
        name: String,
        dollarsPerHour: Double,
        linear: Rate,
        indexProjections: Rate,
        denseAttention: Rate,
        sparseAttention: Rate,
        indexer: Rate,
        memory: Double,
        queriesPerRead: Double,
        batch: Double?,
        cache: Cache,
        weightBytes: Double
    ) {
        self.name = name
        self.dollarsPerHour = dollarsPerHour
        self.linear = linear
        self.indexProjections = indexProjections
        self.denseAttention = denseAttention
        self.sparseAttention = sparseAttention
        self.indexer = indexer
        self.memory = memory
        self.queriesPerRead = queriesPerRead
        self.batch = batch
        self.cache = cache
        self.weightBytes = weightBytes
    }
}

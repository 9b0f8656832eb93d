/// What a model is made of, as its `config.json` says.
///
/// A value of this type is one that a model can have: sizes are positive and bounded, groups divide evenly,
/// selections fit into what they select from.
public struct ModelConfiguration: Equatable, Sendable {
    /// Which line of models it belongs to.
    public let family: Family
    /// Rows of the embedding; the tokenizer may know fewer tokens.
    public let vocabularySize: Int
    /// Dimensions of the residual stream.
    public let hiddenDim: Int
    /// Decoder layers, the prediction layers not counted.
    public let layers: Int
    /// Heads of the attention.
    public let heads: Int
    /// Dimensions of the query latent; nil when queries are projected in one step.
    public let queryLatentDim: Int?
    /// Dimensions of the latent that keys and values are expanded from.
    public let latentDim: Int
    /// Dimensions of a query or key head without position.
    public let nopeDim: Int
    /// Dimensions of a query or key head that are rotated, even.
    public let ropeDim: Int
    /// Dimensions of a value head.
    public let valueDim: Int
    /// Inner dimensions of a dense layer's feed-forward network.
    public let feedForwardDim: Int
    /// Inner dimensions of one expert.
    public let expertFeedForwardDim: Int
    /// Leading layers with a dense feed-forward network; may exceed `layers`.
    public let denseLayers: Int
    /// After the dense layers, every layer whose index is a multiple of this has experts.
    public let moeLayerFrequency: Int
    /// Experts of which each token uses some.
    public let routedExperts: Int
    /// Experts that every token uses.
    public let sharedExperts: Int
    /// Routed experts each token uses; at most what the kept groups hold.
    public let expertsPerToken: Int
    /// Groups the routed experts are divided into.
    public let expertGroups: Int
    /// Groups each token may choose experts from.
    public let keptGroups: Int
    /// Whether the weights of a token's experts are divided by their sum.
    public let normalizesExpertWeights: Bool
    /// What the routed experts' weights are multiplied by.
    public let routedScale: Double
    /// Added to the mean square in the norms of the residual stream.
    public let normEpsilon: Double
    /// Positions the model was made for, in tokens.
    public let maxPositions: Int
    /// Whether the output layer uses the embedding's weights.
    public let tiesEmbeddings: Bool
    /// Layers beyond the last that predict further tokens.
    public let predictionLayers: Int
    /// The token that begins a text.
    public let bosToken: Int?
    /// The tokens that end a text; empty when the file names none.
    public let eosTokens: [Int]
    /// How positions are encoded.
    public let rope: RotaryConfiguration
    /// The lightning indexer; nil for a model with dense attention only.
    public let indexer: IndexerConfiguration?
    /// How weights are quantised; nil when they are not.
    public let quantization: QuantizationConfiguration?

    /// Added to the mean square, or the variance, in the norms of latents and index keys, whatever
    /// `normEpsilon` is.
    ///
    /// Source: Hugging Face `modeling_deepseek_v32.py`; V3.2-Exp `inference/model.py`.
    public static let latentNormEpsilon = 1e-6

    /// A line of models; the raw value is its `model_type`.
    public enum Family: String, CaseIterable, Equatable, Sendable {
        /// DeepSeek-V3 and V3.1: dense attention.
        case deepseekV3 = "deepseek_v3"
        /// DeepSeek-V3.2 and V3.2-Exp.
        case deepseekV32 = "deepseek_v32"
        /// GLM-5: layers may share a selection.
        case glmMoeDSA = "glm_moe_dsa"
    }

    /// Whether a layer has one dense feed-forward network instead of experts.
    ///
    /// - Parameter layer: from 0; the prediction layers follow the last.
    /// - Returns: whether it is dense.
    public func isDense(layer: Int) -> Bool {
        layer < denseLayers || !layer.isMultiple(of: moeLayerFrequency)
    }
}

// MARK: - Limits

extension ModelConfiguration {
    /// What no field may exceed: far beyond any known model, and small enough that no product of sizes
    /// overflows.
    enum Limit {
        static let vocabulary = 1 << 24
        static let layers = 1 << 12
        static let heads = 1 << 12
        /// For every size that ends in `Dim`.
        static let dim = 1 << 20
        static let experts = 1 << 16
        static let positions = 1 << 30
    }
}

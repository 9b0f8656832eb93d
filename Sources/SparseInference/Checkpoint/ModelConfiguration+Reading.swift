public import Foundation

extension ModelConfiguration {
    /// A larger `config.json` is refused unread; in bytes.
    private static let largestFile = 16 << 20

    /// Reads and checks a `config.json`.
    ///
    /// Fields this engine does not use are ignored.
    ///
    /// - Parameter url: where the file is.
    /// - Throws: `SparseInferenceError` when the file cannot be read, is not strict JSON, lacks a field, or
    ///   describes a model that cannot be or is not supported.
    public init(contentsOf url: URL) throws(SparseInferenceError) {
        let value = try JSONValue(contentsOf: url, limit: Self.largestFile)
        do {
            try self.init(value)
        } catch {
            throw .configuration(file: url.lastPathComponent, error)
        }
    }

    /// Checks what a `config.json` holds.
    ///
    /// - Throws: the first `ConfigurationFault` met.
    package init(_ value: JSONValue) throws(ConfigurationFault) {
        let fields = try ConfigurationFields(value)
        let family = try Self.family(fields)
        try Self.refuseUnsupported(fields)

        let layers = try fields.int("num_hidden_layers", in: 1...Limit.layers)
        let vocabularySize = try fields.int("vocab_size", in: 1...Limit.vocabulary)
        self.family = family
        self.layers = layers
        self.vocabularySize = vocabularySize
        hiddenDim = try fields.int("hidden_size", in: 1...Limit.dim)
        feedForwardDim = try fields.int("intermediate_size", in: 1...Limit.dim)
        normEpsilon = try fields.number("rms_norm_eps", in: 1e-12...1)
        maxPositions = try fields.int("max_position_embeddings", in: 1...Limit.positions)
        tiesEmbeddings = try fields.optionalBool("tie_word_embeddings") ?? false
        predictionLayers = try Self.predictionLayers(fields)
        bosToken = try fields.optionalInt("bos_token_id", in: 0...vocabularySize - 1)
        eosTokens = try fields.tokens("eos_token_id", in: 0...vocabularySize - 1)

        let attention = try AttentionFields(fields)
        heads = attention.heads
        queryLatentDim = attention.queryLatentDim
        latentDim = attention.latentDim
        nopeDim = attention.nopeDim
        ropeDim = attention.ropeDim
        valueDim = attention.valueDim

        let experts = try ExpertFields(fields, layers: layers)
        expertFeedForwardDim = experts.feedForwardDim
        denseLayers = experts.denseLayers
        moeLayerFrequency = experts.layerFrequency
        routedExperts = experts.routed
        sharedExperts = experts.shared
        expertsPerToken = experts.perToken
        expertGroups = experts.groups
        keptGroups = experts.keptGroups
        normalizesExpertWeights = try fields.bool("norm_topk_prob")
        routedScale = try fields.number("routed_scaling_factor", in: 1e-6...1e6)

        rope = try RotaryConfiguration(fields)
        if family == .deepseekV3 {
            indexer = nil
        } else {
            // The indexer's queries come from the query latent.
            guard attention.queryLatentDim != nil else { throw .missingField("q_lora_rank") }
            indexer = try IndexerConfiguration(
                fields,
                family: family,
                layers: layers,
                ropeDim: attention.ropeDim
            )
        }
        if let quantization = try fields.fields("quantization_config") {
            self.quantization = try QuantizationConfiguration(quantization)
        } else {
            quantization = nil
        }
    }

    private static func family(_ fields: ConfigurationFields) throws(ConfigurationFault) -> Family {
        let name = try fields.string("model_type")
        guard let family = Family(rawValue: name) else {
            throw .unsupported(
                field: "model_type",
                found: JSONValue.string(name).summary,
                supported: Family.allCases.map { "\"\($0.rawValue)\"" }
            )
        }
        return family
    }

    /// Refuses what would change the numbers and is not built.
    private static func refuseUnsupported(_ fields: ConfigurationFields) throws(ConfigurationFault) {
        try fields.expect("hidden_act", "silu")
        try fields.expect("attention_bias", false)
        try fields.expect("mlp_bias", false)
        try fields.expect("rope_interleave", true)
        try fields.expect("scoring_func", "sigmoid")
        try fields.expect("topk_method", "noaux_tc")
    }

    private static func predictionLayers(_ fields: ConfigurationFields) throws(ConfigurationFault) -> Int {
        let allowed = 0...Limit.layers
        if let layers = try fields.optionalInt("num_nextn_predict_layers", in: allowed) { return layers }
        return try fields.optionalInt("num_mtp_layers", in: allowed) ?? 0
    }
}

// MARK: - Attention

/// The sizes of the attention.
private struct AttentionFields {
    let heads: Int
    let queryLatentDim: Int?
    let latentDim: Int
    let nopeDim: Int
    let ropeDim: Int
    let valueDim: Int

    init(_ fields: ConfigurationFields) throws(ConfigurationFault) {
        typealias Limit = ModelConfiguration.Limit
        heads = try fields.int("num_attention_heads", in: 1...Limit.heads)
        if let keyHeads = try fields.optionalInt("num_key_value_heads", in: 1...Limit.heads),
            keyHeads != heads
        {
            throw .conflict(
                field: "num_key_value_heads",
                found: "\(keyHeads)",
                other: "num_attention_heads",
                otherFound: "\(heads)"
            )
        }
        // `null` is a choice of its own, so the field has to be there.
        guard fields.mentions("q_lora_rank") else { throw .missingField("q_lora_rank") }
        queryLatentDim = try fields.optionalInt("q_lora_rank", in: 1...Limit.dim)
        latentDim = try fields.int("kv_lora_rank", in: 1...Limit.dim)
        nopeDim = try fields.int("qk_nope_head_dim", in: 1...Limit.dim)
        ropeDim = try fields.int("qk_rope_head_dim", in: 1...Limit.dim)
        valueDim = try fields.int("v_head_dim", in: 1...Limit.dim)
        guard ropeDim.isMultiple(of: 2) else {
            throw .notMultiple(field: "qk_rope_head_dim", found: ropeDim, of: 2)
        }
    }
}

// MARK: - Experts

/// The sizes of the mixture of experts, and which layers have one.
private struct ExpertFields {
    let feedForwardDim: Int
    let denseLayers: Int
    let layerFrequency: Int
    let routed: Int
    let shared: Int
    let perToken: Int
    let groups: Int
    let keptGroups: Int

    init(_ fields: ConfigurationFields, layers: Int) throws(ConfigurationFault) {
        typealias Limit = ModelConfiguration.Limit
        feedForwardDim = try fields.int("moe_intermediate_size", in: 1...Limit.dim)
        denseLayers = try fields.int("first_k_dense_replace", in: 0...Limit.layers)
        layerFrequency = try fields.optionalInt("moe_layer_freq", in: 1...Limit.layers) ?? 1
        routed = try fields.int("n_routed_experts", in: 1...Limit.experts)
        guard fields.mentions("n_shared_experts") else { throw .missingField("n_shared_experts") }
        shared = try fields.optionalInt("n_shared_experts", in: 0...Limit.experts) ?? 0
        groups = try fields.int("n_group", in: 1...routed)
        guard routed.isMultiple(of: groups) else {
            throw .notMultiple(field: "n_routed_experts", found: routed, of: groups)
        }
        let groupSize = routed / groups
        // A group is chosen by its two best experts.
        let fewest = groupSize < 2 ? groups : 1
        keptGroups = try fields.int("topk_group", in: fewest...groups)
        perToken = try fields.int("num_experts_per_tok", in: 1...keptGroups * groupSize)
        try checkLayerTypes(fields, layers: layers)
    }

    /// Refuses a list of layer types that is not the one that follows from the other fields.
    private func checkLayerTypes(_ fields: ConfigurationFields, layers: Int) throws(ConfigurationFault) {
        let name = "mlp_layer_types"
        guard let types = try fields.optionalArray(name) else { return }
        guard types.count == layers else {
            throw .wrongCount(field: name, found: types.count, expected: layers)
        }
        for (layer, type) in types.enumerated() {
            let isDense = layer < denseLayers || !layer.isMultiple(of: layerFrequency)
            let expected = isDense ? "dense" : "sparse"
            guard type.string == expected else {
                throw .conflict(
                    field: "\(name)[\(layer)]",
                    found: type.summary,
                    other: "first_k_dense_replace",
                    otherFound: "\(denseLayers)"
                )
            }
        }
    }
}

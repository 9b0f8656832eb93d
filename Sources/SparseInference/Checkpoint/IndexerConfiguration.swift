public import SparseAttention

/// Where a layer gets the selection of tokens it attends to.
public enum IndexerSharing: String, Equatable, Sendable {
    /// The layer has an indexer of its own.
    case full
    /// The layer reuses the selection of the nearest full layer before it.
    case shared
}

/// The lightning indexer of a model.
public struct IndexerConfiguration: Equatable, Sendable {
    /// Heads that score each token.
    public let heads: Int
    /// Dimensions of an index key, and of an index query per head.
    public let headDim: Int
    /// How many tokens a query attends to.
    public let topK: Int
    /// Which elements of an index key or query rotary embedding turns together.
    public let ropeLayout: RopeLayout
    /// Where each layer gets its selection; `[layers]`, the first is full.
    public let sharing: [IndexerSharing]

    /// Where a layer gets its selection; the prediction layers after the last have their own indexer.
    public func sharing(layer: Int) -> IndexerSharing {
        sharing.indices.contains(layer) ? sharing[layer] : .full
    }
}

// MARK: - Reading

extension IndexerConfiguration {
    init(
        _ fields: ConfigurationFields,
        family: ModelConfiguration.Family,
        layers: Int,
        ropeDim: Int
    ) throws(ConfigurationFault) {
        heads = try fields.int("index_n_heads", in: 1...ModelConfiguration.Limit.heads)
        // The rotated part is a part of the whole.
        headDim = try fields.int("index_head_dim", in: ropeDim...ModelConfiguration.Limit.dim)
        topK = try fields.int("index_topk", in: 1...ModelConfiguration.Limit.positions)
        let isGlm = family == .glmMoeDSA
        let isInterleaved = try fields.optionalBool("indexer_rope_interleave") ?? isGlm
        ropeLayout = isInterleaved ? .interleaved : .halfSplit
        // The other family knows no sharing, and ignores these fields as any unknown one.
        let sharing =
            isGlm
            ? try Self.sharing(fields, layers: layers)
            : (field: "", layers: Array(repeating: IndexerSharing.full, count: layers))
        guard sharing.layers.first == .full else { throw .noSelectionToShare(field: sharing.field) }
        self.sharing = sharing.layers
    }

    /// Reads `indexer_types`; without it derives them from `index_topk_pattern`, or else from
    /// `index_topk_freq` and `index_skip_topk_offset`.
    ///
    /// Source: Hugging Face `configuration_glm_moe_dsa.py`.
    private static func sharing(
        _ fields: ConfigurationFields,
        layers: Int
    ) throws(ConfigurationFault) -> (field: String, layers: [IndexerSharing]) {
        if let types = try fields.optionalArray("indexer_types") {
            return ("indexer_types", try sharing(types, of: "indexer_types", layers: layers))
        }
        let pattern = "index_topk_pattern"
        if let value = fields.value(pattern) {
            if let types = value.array { return (pattern, try sharing(types, of: pattern, layers: layers)) }
            guard let letters = value.string else {
                throw .wrongType(field: pattern, found: value.summary, expected: .pattern)
            }
            return (pattern, try sharing(letters: letters, of: pattern, layers: layers))
        }
        let frequency =
            try fields.optionalInt("index_topk_freq", in: 1...ModelConfiguration.Limit.layers) ?? 1
        let offset =
            try fields.optionalInt("index_skip_topk_offset", in: 0...ModelConfiguration.Limit.layers) ?? 2
        let derived = (0..<layers).map { layer in
            max(layer - offset + 1, 0).isMultiple(of: frequency) ? IndexerSharing.full : .shared
        }
        return ("index_skip_topk_offset", derived)
    }

    private static func sharing(
        _ types: [JSONValue],
        of field: String,
        layers: Int
    ) throws(ConfigurationFault) -> [IndexerSharing] {
        guard types.count == layers else {
            throw .wrongCount(field: field, found: types.count, expected: layers)
        }
        var sharing: [IndexerSharing] = []
        for type in types {
            guard let name = type.string else {
                throw .wrongType(field: field, found: type.summary, expected: .string)
            }
            guard let layer = IndexerSharing(rawValue: name) else {
                throw .unsupported(field: field, found: type.summary, supported: ["\"full\"", "\"shared\""])
            }
            sharing.append(layer)
        }
        return sharing
    }

    private static func sharing(
        letters: String,
        of field: String,
        layers: Int
    ) throws(ConfigurationFault) -> [IndexerSharing] {
        guard letters.unicodeScalars.count == layers else {
            throw .wrongCount(field: field, found: letters.unicodeScalars.count, expected: layers)
        }
        var sharing: [IndexerSharing] = []
        for letter in letters.unicodeScalars {
            switch letter {
            case "F": sharing.append(.full)
            case "S": sharing.append(.shared)
            default:
                throw .wrongType(
                    field: field,
                    found: JSONValue.string(letters).summary,
                    expected: .pattern
                )
            }
        }
        return sharing
    }
}

public import SparseAttention

extension LanguageModel {
    /// The numerics a model is run with: chosen by the caller, never mixed in silence.
    public enum Precision: Equatable, Sendable {
        /// Weights widened to float32, float32 arithmetic: equals Hugging Face in float32.
        case float32
        /// Weights as stored, products in bfloat16: twice the arithmetic of `float32` in a processor that has it.
        ///
        /// Rounded to bfloat16, nearest, ties to even, are the two factors of every linear layer of attention, indexer
        /// and feed-forward, those of the attention core (queries, keys, values, probabilities), and index queries and
        /// keys. Weights stored in bfloat16 or FP8 enter as they are. Caches hold bfloat16 unless the caller says
        /// otherwise. Everything else is float32: sums, the residual stream, norms, rotations, attention and index
        /// scores, softmax statistics, head weights, the router, the logits.
        case bfloat16
        /// As the corrected official demo runs: inputs of FP8 linear layers quantized, Hadamard and FP8 in the
        /// indexer, latents rounded through FP8 before they are used or cached, head weights in float32.
        ///
        /// Activations are rounded to bfloat16 wherever the demo holds bfloat16 tensors, or left in float32.
        ///
        /// Source: DeepSeek-V3.2-Exp on Hugging Face, `inference/model.py` after commits 1938e9df and 8631a813.
        case deployed(activations: StorageFormat)
        /// As the demo's first public revision, with its indexer's RoPE corrected: latents as they are, head weights
        /// rounded like other activations.
        ///
        /// Source: DeepSeek-V3.2-Exp on GitHub, revision 3b99a53.
        case legacy(activations: StorageFormat)
    }
}

extension LanguageModel.Precision: CustomStringConvertible {
    /// A name: `float32`, `bfloat16`, or `deployed` or `legacy` with the rounding of activations, as in `deployed-bfloat16`.
    public var description: String {
        switch self {
        case .float32: "float32"
        case .bfloat16: "bfloat16"
        case .deployed(let activations): "deployed-\(activations.rawValue)"
        case .legacy(let activations): "legacy-\(activations.rawValue)"
        }
    }

    /// How caches store numbers unless the caller says otherwise.
    public var cacheFormat: CacheFormat {
        self == .bfloat16 ? .bfloat16 : .float32
    }

    /// The precision of a name.
    ///
    /// - Parameter name: as `description` gives it.
    public init?(name: String) {
        let all = StorageFormat.allCases.flatMap {
            [Self.deployed(activations: $0), .legacy(activations: $0)]
        }
        guard let known = ([.float32, .bfloat16] + all).first(where: { $0.description == name }) else {
            return nil
        }
        self = known
    }
}

/// What a precision means for the layers of one model.
package struct Arithmetic: Equatable, Sendable {
    /// How activations are rounded between operators.
    let activations: StorageFormat
    /// The numbers that linear layers multiply.
    let products: ProductArithmetic
    /// How inputs of FP8 linear layers are quantized; nil for not at all.
    let inputFormat: ScaleFormat?
    /// How latents are quantized before use; nil for not at all.
    let latentFormat: ScaleFormat?
    /// The arithmetic of index scores.
    let indexScores: LightningIndexer.Precision
    /// Whether head weights are rounded like other activations.
    let roundsHeadWeights: Bool
    /// A mistake to make on purpose.
    let mistake: Mistake?

    /// Float32 throughout.
    package static let float32 = Arithmetic(.float32, scaleFormat: .float32)

    /// The arithmetic of a precision.
    ///
    /// - Parameters:
    ///   - precision: what the caller chose.
    ///   - scaleFormat: how the checkpoint rounds scales.
    ///   - mistake: a mistake to make on purpose.
    init(_ precision: LanguageModel.Precision, scaleFormat: ScaleFormat, mistake: Mistake? = nil) {
        self.mistake = mistake
        products = precision == .bfloat16 ? .bfloat16 : .float32
        switch precision {
        case .float32, .bfloat16:
            activations = .float32
            inputFormat = nil
            latentFormat = nil
            indexScores = precision == .bfloat16 ? .bfloat16 : .float32
            roundsHeadWeights = false
        case .deployed(let activations):
            self.activations = activations
            inputFormat = scaleFormat
            latentFormat = mistake == .latentNotQuantized ? nil : scaleFormat
            indexScores = .float8(scaleFormat, rotated: activations)
            roundsHeadWeights = false
        case .legacy(let activations):
            self.activations = activations
            inputFormat = scaleFormat
            latentFormat = nil
            indexScores = .float8(scaleFormat, rotated: activations)
            roundsHeadWeights = true
        }
    }

    /// Rounds as activations are.
    func rounded(_ tensor: Tensor) -> Tensor {
        tensor.rounded(to: activations)
    }

    /// The inputs of an FP8 linear layer: quantized and back, or as they are where the arithmetic is float32.
    func quantized(_ rows: Tensor) throws -> Tensor {
        guard let inputFormat else { return rows }
        guard mistake == .scaleRoundedLate else {
            return try rows.roundedThroughFloat8(format: inputFormat)
        }
        return try coded(rows)?.dequantized().reshaped(rows.shape) ?? rows
    }

    /// The codes and scales of such inputs; nil where the arithmetic is float32.
    func coded(_ rows: Tensor) throws -> QuantizedRows? {
        guard let inputFormat else { return nil }
        guard mistake == .scaleRoundedLate, inputFormat == .powerOfTwo else {
            return try QuantizedRows(quantizing: rows, format: inputFormat)
        }
        let late = try QuantizedRows(quantizing: rows, format: .float32)
        let scales = late.scales.map { UE8M0(roundingUp: $0).float }
        return try QuantizedRows(rows: late.rows, columns: late.columns, codes: late.codes, scales: scales)
    }

    /// The form of latent attention a chunk is run in, unless the caller forces one: nil for the cheaper.
    ///
    /// Where the two forms quantize differently the demo's choice is part of the numerics: expanded for a chunk,
    /// absorbed for a single token.
    func form(tokens: Int) -> LatentAttention.Form? {
        inputFormat == nil ? nil : tokens > 1 ? .expanded : .absorbed
    }
}

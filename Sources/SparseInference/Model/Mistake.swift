/// A known mistake of other implementations, to be made on purpose.
///
/// A suite that passes with one of these proves nothing about it; an engine's author can ask which of them gives the
/// numbers at hand.
package enum Mistake: String, CaseIterable, Equatable, Sendable {
    /// The indexer rotates neighbours where it should rotate halves; the other way round for GLM.
    case indexerRopeInterleaved = "indexer-rope-interleaved"
    /// The indexer rotates the last elements of a head, as the attention does, not the first.
    case indexerRopeLast = "indexer-rope-last"
    /// The indexer does not rotate at all.
    case indexerWithoutRope = "indexer-without-rope"
    /// Index queries are Hadamard-rotated, index keys are not.
    case hadamardQueriesOnly = "hadamard-queries-only"
    /// Head weights are rounded to bfloat16.
    case headWeightsBFloat16 = "head-weights-bfloat16"
    /// The index key's LayerNorm lacks its bias.
    case layerNormWithoutBias = "layer-norm-without-bias"
    /// Index scores add up products that should have been cut off at zero.
    case scoresWithoutRelu = "scores-without-relu"
    /// Tokens yet to come take part in the selection and are hidden afterwards.
    case maskAfterSelection = "mask-after-selection"
    /// A token does not take part in its own selection.
    case selectionWithoutSelf = "selection-without-self"
    /// Attention is dense where the sequence is longer than top-k.
    case denseAboveTopK = "dense-above-k"
    /// Experts of groups left out compete with a score of 0 instead of −infinity.
    case groupMaskZero = "group-mask-zero"
    /// Chosen experts are weighted with the bias that is meant for the choice.
    case routerWeightsBiased = "router-weights-biased"
    /// The softmax scale lacks YaRN's factor.
    case missingYarnFactor = "missing-yarn-factor"
    /// The attention rotates halves where it should rotate neighbours.
    case attentionRopeHalfSplit = "attention-rope-half-split"
    /// FP8 scales are rounded to powers of two after the codes were made with the unrounded scale.
    case scaleRoundedLate = "scale-rounded-after-quantizing"
    /// The scale of an FP8 index query is not folded into its head weight.
    case missingQueryScale = "missing-query-scale"
    /// Latents are used and cached as they are, not rounded through FP8.
    case latentNotQuantized = "latent-not-quantized"
}

extension Mistake {
    /// Where the mistake was made or described.
    package var source: String {
        switch self {
        case .indexerRopeInterleaved:
            "DeepSeek-V3.2-Exp inference/model.py at 3b99a53; sglang#13439, vllm#28968, mlx-lm#1431"
        case .indexerRopeLast:
            "the order of attention heads, [nope, rope], is the reverse of the indexer's, [rope, nope]"
        case .indexerWithoutRope: "d9d#38"
        case .hadamardQueriesOnly: "ROCm/ATOM#1507"
        case .headWeightsBFloat16: "sglang#13459, #17205; DeepSeek-V3.2-Exp commit 8631a813 corrects it"
        case .layerNormWithoutBias:
            "DeepSeek-V3.2-Exp inference/model.py, Indexer.k_norm, is a LayerNorm with bias"
        case .scoresWithoutRelu: "sglang#33271 measures it; Megatron switches ReLU off for GLM-5"
        case .maskAfterSelection: "V3.2-Exp inference/model.py adds the mask before topk; report, equation 2"
        case .selectionWithoutSelf:
            "vLLM's blog on DeepSeek-V3.2, range(n - q, n); DeepGEMM's exclusive key end"
        case .denseAboveTopK: "sglang#29050, #30258"
        case .groupMaskZero: "sglang#3705, vllm#13474, transformers#45440"
        case .routerWeightsBiased: "DeepSeek-V3 report §2.1.2: the bias is used for routing only"
        case .missingYarnFactor: "optimum-intel#1877"
        case .attentionRopeHalfSplit: "DeepSeek-V3 inference/model.py, apply_rotary_emb, is interleaved"
        case .scaleRoundedLate: "transformers#46763; sglang#26766, #39289"
        case .missingQueryScale: "DeepGEMM's FP8 path takes no query scale: the caller folds it"
        case .latentNotQuantized: "DeepSeek-V3.2-Exp inference/model.py, first revision"
        }
    }

    /// Whether the mistake needs the numerics of FP8 to show.
    package var needsFloat8: Bool {
        switch self {
        case .scaleRoundedLate, .missingQueryScale, .latentNotQuantized: true
        default: false
        }
    }

    /// Whether the mistake is invisible while a sequence is no longer than top-k: it only disturbs the selection.
    package var hidesUpToTopK: Bool {
        switch self {
        case .indexerRopeInterleaved, .indexerRopeLast, .indexerWithoutRope, .hadamardQueriesOnly,
            .headWeightsBFloat16, .layerNormWithoutBias, .scoresWithoutRelu, .maskAfterSelection,
            .selectionWithoutSelf, .denseAboveTopK, .missingQueryScale:
            true
        case .groupMaskZero, .routerWeightsBiased, .missingYarnFactor, .attentionRopeHalfSplit,
            .scaleRoundedLate,
            .latentNotQuantized:
            false
        }
    }
}

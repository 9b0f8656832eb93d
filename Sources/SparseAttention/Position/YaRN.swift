import Foundation

/// The settings of YaRN, which stretches rotary embedding to longer contexts.
///
/// Source: Peng et al. 2023, section 3; Hugging Face `modeling_rope_utils.py`.
public struct YaRN: Equatable, Sendable {
    /// How many times longer than the original the context is, at least 1.
    public let factor: Double
    /// The context the model was first trained for, in tokens.
    public let originalPositions: Int
    /// Dimensions that turn more often than this over the original context keep their frequency.
    public let betaFast: Double
    /// Dimensions that turn less often than this are slowed by `factor`.
    public let betaSlow: Double
    /// Scales cosine and sine, when given with `mscaleAllDim`.
    public let mscale: Double?
    /// Scales the softmax, when given.
    public let mscaleAllDim: Double?
    /// Replaces the scale of cosine and sine.
    public let attentionFactor: Double?

    /// Settings as a `config.json` gives them.
    public init(
        factor: Double,
        originalPositions: Int,
        betaFast: Double = 32,
        betaSlow: Double = 1,
        mscale: Double? = nil,
        mscaleAllDim: Double? = nil,
        attentionFactor: Double? = nil
    ) {
        self.factor = factor
        self.originalPositions = originalPositions
        self.betaFast = betaFast
        self.betaSlow = betaSlow
        self.mscale = mscale
        self.mscaleAllDim = mscaleAllDim
        self.attentionFactor = attentionFactor
    }

    /// What cosine and sine are multiplied by: `m(mscale) / m(mscaleAllDim)`, or `m(1)` when either is missing.
    public var rotationScale: Double {
        if let attentionFactor { return attentionFactor }
        guard let mscale, let mscaleAllDim, mscale != 0, mscaleAllDim != 0 else { return magnitude(1) }
        return magnitude(mscale) / magnitude(mscaleAllDim)
    }

    /// What the softmax scale is multiplied by: `m(mscaleAllDim)²`, 1 when it is missing.
    public var softmaxScale: Double {
        guard let mscaleAllDim, mscaleAllDim != 0 else { return 1 }
        return magnitude(mscaleAllDim) * magnitude(mscaleAllDim)
    }

    /// `m(s) = 0.1 · s · ln(factor) + 1`.
    private func magnitude(_ scale: Double) -> Double {
        factor <= 1 ? 1 : 0.1 * scale * log(factor) + 1
    }
}

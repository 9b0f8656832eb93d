package import SparseAttention

/// A step of the forward pass whose result can be watched.
package enum Stage: String, Equatable, Sendable, CaseIterable {
    /// The embedded tokens, `[tokens, hiddenDim]`.
    case embedding
    /// The normalised query latent, `[tokens, queryLatentDim]`.
    case queryLatent
    /// The normalised latents, `[tokens, latentDim]`.
    case latents
    /// The index queries after RoPE, `[tokens, indexHeads, indexHeadDim]`.
    case indexQueries
    /// The index keys after RoPE, `[tokens, indexHeadDim]`.
    case indexKeys
    /// The output of `weights_proj`, `[tokens, indexHeads]`.
    case headWeights
    /// The tokens each query token may use.
    case selection
    /// The heads' outputs before the output projection, `[tokens, heads, valueDim]`.
    case attentionOutput
    /// The attention's log-sum-exp, `[tokens, heads]`.
    case logSumExp
    /// The experts each token was routed to, ascending.
    case experts
    /// The residual stream after a layer, `[tokens, hiddenDim]`.
    case hidden
    /// The residual stream after the final normalisation, `[tokens, hiddenDim]`.
    case finalNorm
}

/// Watches a forward pass stage by stage.
package struct StageProbe {
    /// What a stage produced.
    package enum Value {
        /// Numbers.
        case tensor(Tensor)
        /// Selected tokens.
        case selection(TokenSelection)
        /// One list of numbers a token.
        case choices([[Int]])
    }

    /// Called with each stage in order; `layer` is nil outside the layers.
    package let record: (_ stage: Stage, _ layer: Int?, _ value: Value) -> Void

    /// A probe that calls `record`.
    package init(record: @escaping (_ stage: Stage, _ layer: Int?, _ value: Value) -> Void) {
        self.record = record
    }
}

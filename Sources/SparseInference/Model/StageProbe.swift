package import SparseAttention

/// A step of the forward pass whose result can be watched, in the order of computation.
package enum Stage: String, Equatable, Sendable, CaseIterable {
    /// The embedded tokens, `[tokens, hiddenDim]`.
    case embedding
    /// The residual stream, normalised for the attention, `[tokens, hiddenDim]`.
    case attentionInput
    /// Its E4M3 codes as the FP8 projections see them, `[tokens, hiddenDim]`; FP8 numerics only.
    case attentionInputCodes
    /// The scale of each block of 128 of those codes, `[tokens, blocks]`.
    case attentionInputScales
    /// The normalised query latent, `[tokens, queryLatentDim]`.
    case queryLatent
    /// The attention's queries, their last part rotated, `[tokens, heads, nopeDim + ropeDim]`.
    case queries
    /// The normalised latents as they are cached, `[tokens, latentDim]`.
    case latents
    /// The rotated part of the keys, `[tokens, ropeDim]`.
    case ropeKeys
    /// The index keys after LayerNorm and RoPE, `[tokens, indexHeadDim]`.
    case indexKeys
    /// The index keys after the Hadamard rotation, `[tokens, indexHeadDim]`; FP8 scores only, as the next two.
    case indexKeysRotated
    /// Their E4M3 codes, `[tokens, indexHeadDim]`.
    case indexKeyCodes
    /// The scale of each index key's codes, `[tokens, 1]`.
    case indexKeyScales
    /// The index queries after RoPE, `[tokens, indexHeads, indexHeadDim]`.
    case indexQueries
    /// The index queries after the Hadamard rotation; FP8 scores only, as the next two.
    case indexQueriesRotated
    /// Their E4M3 codes, `[tokens, indexHeads, indexHeadDim]`.
    case indexQueryCodes
    /// The scale of each index query's codes, `[tokens, indexHeads]`.
    case indexQueryScales
    /// The output of `weights_proj`, `[tokens, indexHeads]`.
    case headWeights
    /// The index scores, `[tokens, keyTokens]`; −infinity where a token is not visible.
    case indexScores
    /// The tokens each query token may use.
    case selection
    /// The heads' outputs before the output projection, `[tokens, heads, valueDim]`.
    case attentionOutput
    /// The attention's log-sum-exp, `[tokens, heads]`.
    case logSumExp
    /// What the attention adds to the residual stream, `[tokens, hiddenDim]`.
    case attentionProjected
    /// The residual stream, normalised for the feed-forward layer, `[tokens, hiddenDim]`.
    case feedForwardInput
    /// The router's sigmoid scores, without bias, `[tokens, routedExperts]`.
    case routerScores
    /// The experts each token was routed to, ascending.
    case experts
    /// Their weights, in the same order, `[tokens, expertsPerToken]`.
    case expertWeights
    /// The residual stream after a layer, `[tokens, hiddenDim]`.
    case hidden
    /// The residual stream after the final normalisation, `[tokens, hiddenDim]`.
    case finalNorm
    /// The scores of the vocabulary, `[tokens, vocabularySize]`.
    case logits
}

/// Watches a forward pass stage by stage.
package struct StageProbe {
    /// What a stage produced.
    package enum Value {
        /// Numbers.
        case tensor(Tensor)
        /// E4M3 codes under a shape.
        case codes([UInt8], shape: [Int])
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

    /// The probe of one layer.
    func layer(_ index: Int) -> LayerProbe {
        LayerProbe(probe: self, layer: index)
    }
}

/// Watches one layer.
///
/// Stages that the forward pass itself does not need are computed only for a probe.
package struct LayerProbe {
    let probe: StageProbe
    let layer: Int

    func record(_ stage: Stage, _ tensor: Tensor) {
        probe.record(stage, layer, .tensor(tensor))
    }

    func record(_ stage: Stage, _ value: StageProbe.Value) {
        probe.record(stage, layer, value)
    }

    /// Records codes and their scales, both with `tokens` as the first dimension.
    func record(_ rows: QuantizedRows, tokens: Int, codes: Stage, scales: Stage) throws {
        let inner = rows.rows / max(tokens, 1)
        let shape = inner == 1 ? [tokens, rows.columns] : [tokens, inner, rows.columns]
        record(codes, .codes(rows.codes, shape: shape))
        record(scales, try Tensor(rows.scales, shape: Shape([tokens, inner * rows.blocks])))
    }
}

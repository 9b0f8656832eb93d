/// The weights a checkpoint of this configuration has.
extension ModelConfiguration {
    /// Names of tensors, each with its dimensions, outermost first.
    package typealias NamedShapes = [(name: String, shape: [Int])]

    /// Names and shapes of all weights, as Hugging Face writes them; those of prediction layers not included.
    package var weightShapes: NamedShapes {
        var all: NamedShapes = [("model.embed_tokens.weight", [vocabularySize, hiddenDim])]
        for layer in 0..<layers {
            all += layerShapes(layer).map { ("model.layers.\(layer).\($0.name)", $0.shape) }
        }
        all.append(("model.norm.weight", [hiddenDim]))
        if !tiesEmbeddings { all.append(("lm_head.weight", [vocabularySize, hiddenDim])) }
        return all
    }

    private func layerShapes(_ layer: Int) -> NamedShapes {
        var all: NamedShapes = [
            ("input_layernorm.weight", [hiddenDim]), ("post_attention_layernorm.weight", [hiddenDim]),
        ]
        all += attentionShapes.map { ("self_attn.\($0.name)", $0.shape) }
        all += indexerShapes(layer: layer).map { ("self_attn.indexer.\($0.name)", $0.shape) }
        all += feedForwardShapes(layer: layer).map { ("mlp.\($0.name)", $0.shape) }
        return all
    }

    private var attentionShapes: NamedShapes {
        let queryRows = heads * (nopeDim + ropeDim)
        let query: NamedShapes =
            if let queryLatentDim {
                [
                    ("q_a_proj.weight", [queryLatentDim, hiddenDim]),
                    ("q_a_layernorm.weight", [queryLatentDim]),
                    ("q_b_proj.weight", [queryRows, queryLatentDim]),
                ]
            } else {
                [("q_proj.weight", [queryRows, hiddenDim])]
            }
        let rest: NamedShapes = [
            ("kv_a_proj_with_mqa.weight", [latentDim + ropeDim, hiddenDim]),
            ("kv_a_layernorm.weight", [latentDim]),
            ("kv_b_proj.weight", [heads * (nopeDim + valueDim), latentDim]),
            ("o_proj.weight", [hiddenDim, heads * valueDim]),
        ]
        return query + rest
    }

    private func indexerShapes(layer: Int) -> NamedShapes {
        guard let indexer, indexer.sharing(layer: layer) == .full, let queryLatentDim else { return [] }
        return [
            ("wq_b.weight", [indexer.heads * indexer.headDim, queryLatentDim]),
            ("wk.weight", [indexer.headDim, hiddenDim]), ("k_norm.weight", [indexer.headDim]),
            ("k_norm.bias", [indexer.headDim]), ("weights_proj.weight", [indexer.heads, hiddenDim]),
        ]
    }

    private func feedForwardShapes(layer: Int) -> NamedShapes {
        guard !isDense(layer: layer) else { return networkShapes("", dim: feedForwardDim) }
        var all: NamedShapes = [
            ("gate.weight", [routedExperts, hiddenDim]), ("gate.e_score_correction_bias", [routedExperts]),
        ]
        for expert in 0..<routedExperts {
            all += networkShapes("experts.\(expert).", dim: expertFeedForwardDim)
        }
        if sharedExperts > 0 {
            all += networkShapes("shared_experts.", dim: sharedExperts * expertFeedForwardDim)
        }
        return all
    }

    private func networkShapes(_ prefix: String, dim: Int) -> NamedShapes {
        [
            (prefix + "gate_proj.weight", [dim, hiddenDim]), (prefix + "up_proj.weight", [dim, hiddenDim]),
            (prefix + "down_proj.weight", [hiddenDim, dim]),
        ]
    }
}

import SparseAttention
import SparseInference

extension AttentionBlock {
    /// What one layer's backward pass has to do beside the gradient of its input.
    struct Objective {
        /// Whether the trunk's parameters get gradients.
        let trainsTrunk: Bool
        /// What a query token's indexer loss counts for; nil when the indexer is not trained.
        let indexerWeight: Float?
    }

    /// Adds the gradients of the layer's parameters.
    ///
    /// - Parameters:
    ///   - gradient: that of the output, `[tokens, hiddenDim]`; not read when the trunk is not trained.
    ///   - trace: of the forward pass.
    ///   - parameters: as the forward pass had them.
    ///   - rotation: cosine and sine of all tokens.
    ///   - objective: what is trained.
    ///   - gradients: added to.
    /// - Returns: the gradient of the input, nil when the trunk is not trained, and the indexer's loss of each token.
    /// - Throws: `SparseAttentionError` when parameters do not fit together.
    func backward(
        _ gradient: Tensor?,
        _ trace: Trace,
        _ parameters: ParameterSet,
        rotation: RotaryEmbedding.Rotation,
        objective: Objective,
        into gradients: inout ParameterSet
    ) throws -> (input: Tensor?, indexerLoss: Tensor?) {
        guard objective.trainsTrunk, let gradient else {
            return (nil, try trainIndexer(trace, nil, parameters, rotation, objective, &gradients))
        }
        func linear(_ gradient: Tensor, _ input: Tensor, _ name: String) -> Tensor {
            let weight = parameters[prefix + name]
            let result = Operators.Linear.backward(gradient, input: input, weight: weight, workers: workers)
            gradients.accumulate(prefix + name, result.weight)
            return result.input
        }
        let output = linear(gradient, trace.output, "o_proj.weight")
        var core = try coreGradients(output, trace, parameters, into: &gradients)
        let indexerLoss = try trainIndexer(
            trace,
            core.attention,
            parameters,
            rotation,
            objective,
            &gradients
        )
        // Queries.
        try rope.rotate(
            &core.queries,
            at: sizes.nopeDim,
            by: rotation.transposed,
            layout: .interleaved
        )
        let flat = core.queries.shaped([trace.hidden.shape[0], sizes.heads * sizes.queryDim])
        var input: Tensor
        if let projected = trace.projectedQueries, let latent = trace.queryLatent {
            let latentGradient = linear(flat, latent, "q_b_proj.weight")
            let result = Operators.RootMeanSquareNorm.backward(
                latentGradient,
                input: projected,
                norm: norm("q_a_layernorm.weight", parameters),
                workers: workers
            )
            gradients.accumulate(prefix + "q_a_layernorm.weight", result.weight)
            input = linear(result.input, trace.hidden, "q_a_proj.weight")
        } else {
            input = linear(flat, trace.hidden, "q_proj.weight")
        }
        // Latents and rotated keys.
        try rope.rotate(&core.ropeKeys, by: rotation.transposed, layout: .interleaved)
        let result = Operators.RootMeanSquareNorm.backward(
            core.latents,
            input: trace.projectedLatents,
            norm: norm("kv_a_layernorm.weight", parameters),
            workers: workers
        )
        gradients.accumulate(prefix + "kv_a_layernorm.weight", result.weight)
        let rows = result.input.joined(with: core.ropeKeys)
        input.add(linear(rows, trace.hidden, "kv_a_proj_with_mqa.weight"))
        return (input, indexerLoss)
    }

    /// The gradients of what enters the attention core.
    private struct CoreGradients {
        var queries: Tensor  // [tokens, heads, queryDim]
        var latents: Tensor  // [tokens, latentDim]
        var ropeKeys: Tensor  // [tokens, ropeDim]
        var attention: Tensor?  // [tokens, slots], of a sparse core
    }

    private func coreGradients(
        _ gradient: Tensor,
        _ trace: Trace,
        _ parameters: ParameterSet,
        into gradients: inout ParameterSet
    ) throws -> CoreGradients {
        let name = prefix + "kv_b_proj.weight"
        let weight = parameters[name]
        guard let selection = trace.selection else {
            let operands = denseOperands(trace, weight)
            let dense = DenseAttentionGradient(sizes: sizes, scale: attention.scale, workers: workers)(
                gradient,
                operands
            )
            let result = Operators.Linear.backward(
                dense.keyValues,
                input: trace.latents,
                weight: weight,
                workers: workers
            )
            gradients.accumulate(name, result.weight)
            return CoreGradients(
                queries: dense.queries.shaped(trace.queries.shape),
                latents: result.input,
                ropeKeys: dense.ropeKeys
            )
        }
        let sparse = selectedGradients(gradient, trace, weight, selection)
        gradients.accumulate(name, sparse.weight)
        return CoreGradients(
            queries: sparse.queries,
            latents: sparse.rows.columns(0..<sizes.latentDim),
            ropeKeys: sparse.rows.columns(sizes.latentDim..<sizes.rowDim),
            attention: sparse.attention
        )
    }

    private func denseOperands(_ trace: Trace, _ weight: Tensor) -> DenseAttentionGradient.Operands {
        DenseAttentionGradient.Operands(
            queries: trace.queries.shaped([trace.queries.shape[0], sizes.heads * sizes.queryDim]),
            keyValues: Operators.Linear.forward(trace.latents, weight, workers: workers),
            ropeKeys: trace.ropeKeys,
            output: trace.output,
            logSumExp: trace.logSumExp
        )
    }

    /// The attention of dense query tokens to every token before them.
    func mass(_ trace: Trace, _ parameters: ParameterSet) -> DenseAttentionMass {
        DenseAttentionMass(
            sizes: sizes,
            scale: attention.scale,
            operands: denseOperands(trace, parameters[prefix + "kv_b_proj.weight"])
        )
    }

    /// Adds the indexer's gradients, if it is trained; returns the loss of each token.
    private func trainIndexer(
        _ trace: Trace,
        _ attention: Tensor?,
        _ parameters: ParameterSet,
        _ rotation: RotaryEmbedding.Rotation,
        _ objective: Objective,
        _ gradients: inout ParameterSet
    ) throws -> Tensor? {
        guard let weight = objective.indexerWeight, let indexer, let indexed = trace.indexer else {
            return nil
        }
        let loss = indexer.loss(weight: weight)
        let result: IndexerLossGradient.Result
        if let selection = trace.selection {
            let attention = attention ?? selectedAttention(trace, parameters, selection)
            result = loss.overSelected(indexed.operands, selection, attention: attention)
        } else {
            let mass = mass(trace, parameters)
            result = loss.overVisible(indexed.operands) { mass.write($0, into: $1) }
        }
        try indexer.backward(
            result,
            indexed,
            parameters,
            rope: rope,
            rotation: rotation,
            into: &gradients
        )
        return result.losses
    }
}

import SparseAttention
import SparseInference

/// The feed-forward half of one layer while it is trained: one network, or experts behind a router.
struct FeedForwardBlock: Sendable {
    private let prefix: String
    private let rule: Router.Rule?
    private let experts: Int
    private let hasSharedExperts: Bool
    private let workers: Workers

    /// What `backward` needs of a forward pass.
    struct Trace {
        let hidden: Tensor  // [tokens, hiddenDim]
        let whole: Operators.FeedForward.Trace?  // the dense network's, or the shared experts'
        let routed: Routed?
    }

    /// The routed part.
    struct Routed {
        let scores: Tensor  // [tokens, experts]
        let choices: [Router.Choice]
        let experts: [Assignment]

        /// The tokens each expert was given.
        var load: [Int] { experts.map(\.tokens.count) }
    }

    /// What one expert did.
    struct Assignment {
        let tokens: [Int]
        let slots: [Int]  // which of its token's experts it is
        let trace: Operators.FeedForward.Trace?  // nil when it was given none
    }

    init(_ configuration: ModelConfiguration, layer: Int, workers: Workers) {
        prefix = "model.layers.\(layer).mlp."
        let isDense = configuration.isDense(layer: layer)
        rule =
            isDense
            ? nil
            : Router.Rule(
                expertsPerToken: configuration.expertsPerToken,
                groups: configuration.expertGroups,
                keptGroups: configuration.keptGroups,
                normalizes: configuration.normalizesExpertWeights,
                scale: Float(configuration.routedScale)
            )
        experts = configuration.routedExperts
        hasSharedExperts = configuration.sharedExperts > 0
        self.workers = workers
    }

    /// Runs the network or the experts.
    ///
    /// - Parameters:
    ///   - hidden: normalised, `[tokens, hiddenDim]`.
    ///   - parameters: those of the model.
    ///   - chosen: the experts of each token, ascending; those the router chooses when nil.
    /// - Returns: `[tokens, hiddenDim]`, and what `backward` needs.
    func forward(
        _ hidden: Tensor,
        _ parameters: ParameterSet,
        experts chosen: [[Int]]? = nil
    ) -> (output: Tensor, trace: Trace) {
        guard let rule else {
            let (output, trace) = Operators.FeedForward.forward(
                hidden,
                weights("", parameters),
                workers: workers
            )
            return (output, Trace(hidden: hidden, whole: trace, routed: nil))
        }
        let router = Router(
            rule: rule,
            weight: WeightMatrix(parameters[prefix + "gate.weight"]),
            bias: parameters[prefix + "gate.e_score_correction_bias"].elements,
            workers: workers
        )
        let scores = router.scores(hidden)
        let choices = chosen.map { router.weigh($0, by: scores) } ?? router.choose(scores)
        var output = Tensor(repeating: 0, shape: hidden.shape)
        let assignments = (0..<experts).map { expert in
            let places = choices.enumerated().compactMap { token, choice in
                choice.firstIndex { $0.expert == expert }.map { (token, $0) }
            }
            guard !places.isEmpty else { return Assignment(tokens: [], slots: [], trace: nil) }
            let (result, trace) = Operators.FeedForward.forward(
                hidden.gathered(places.map(\.0)),
                weights("experts.\(expert).", parameters),
                rowWeights: places.map { choices[$0.0][$0.1].weight },
                workers: workers
            )
            for (row, place) in places.enumerated() {
                output.add(result, row: row, times: 1, toRow: place.0)
            }
            return Assignment(tokens: places.map(\.0), slots: places.map(\.1), trace: trace)
        }
        var shared: Operators.FeedForward.Trace?
        if hasSharedExperts {
            let (result, trace) = Operators.FeedForward.forward(
                hidden,
                weights("shared_experts.", parameters),
                workers: workers
            )
            output.add(result)
            shared = trace
        }
        let routed = Routed(scores: scores, choices: choices, experts: assignments)
        return (output, Trace(hidden: hidden, whole: shared, routed: routed))
    }

    /// Adds the gradients of the parameters.
    ///
    /// - Parameters:
    ///   - gradient: that of the output, `[tokens, hiddenDim]`.
    ///   - trace: of the forward pass.
    ///   - parameters: as the forward pass had them.
    ///   - pack: whose rows they are.
    ///   - balanceLoss: what the sequence-wise balance loss counts for.
    ///   - gradients: added to.
    /// - Returns: the gradient of the input.
    /// - Throws: `SparseAttentionError.invalidSetting`.
    func backward(
        _ gradient: Tensor,
        _ trace: Trace,
        _ parameters: ParameterSet,
        pack: SequencePack,
        balanceLoss: Float,
        into gradients: inout ParameterSet
    ) throws -> Tensor {
        var input = Tensor(repeating: 0, shape: gradient.shape)
        if let whole = trace.whole {
            let name = trace.routed == nil ? "" : "shared_experts."
            input = add(
                Operators.FeedForward.backward(
                    gradient,
                    whole,
                    weights(name, parameters),
                    workers: workers
                ),
                name,
                &gradients
            )
        }
        guard let routed = trace.routed, let rule else { return input }
        var weightGradients = routed.choices.map { [Float](repeating: 0, count: $0.count) }
        for (expert, assignment) in routed.experts.enumerated() {
            let name = "experts.\(expert)."
            let weights = weights(name, parameters)
            guard let expertTrace = assignment.trace else {
                let zeros = Operators.FeedForward.Weights(
                    gate: Tensor(shape: weights.gate.shape),
                    up: Tensor(shape: weights.up.shape),
                    down: Tensor(shape: weights.down.shape)
                )
                accumulate(zeros, name, &gradients)
                continue
            }
            let result = Operators.FeedForward.backward(
                gradient.gathered(assignment.tokens),
                expertTrace,
                weights,
                workers: workers
            )
            let rows = add(result, name, &gradients)
            for (row, token) in assignment.tokens.enumerated() {
                input.add(rows, row: row, times: 1, toRow: token)
                weightGradients[token][assignment.slots[row]] = result.rowWeights[row]
            }
        }
        var balance: Tensor?
        if balanceLoss != 0 {
            var gradients = Tensor(uninitialized: routed.scores.shape)
            for rows in pack.rows {
                let loss = try LoadBalancing.SequenceLoss(
                    scores: routed.scores.rows(rows),
                    expertsPerToken: rule.expertsPerToken,
                    alpha: balanceLoss
                )
                gradients.setRows(rows, to: loss.scoreGradients)
            }
            balance = gradients
        }
        let logits = Operators.Routing.backward(
            weightGradients,
            choices: routed.choices,
            scores: routed.scores,
            rule: rule,
            scoreGradients: balance
        )
        let gate = prefix + "gate.weight"
        let result = Operators.Linear.backward(
            logits,
            input: trace.hidden,
            weight: parameters[gate],
            workers: workers
        )
        gradients.accumulate(gate, result.weight)
        input.add(result.input)
        return input
    }

    private func weights(_ name: String, _ parameters: ParameterSet) -> Operators.FeedForward.Weights {
        Operators.FeedForward.Weights(
            gate: parameters[prefix + name + "gate_proj.weight"],
            up: parameters[prefix + name + "up_proj.weight"],
            down: parameters[prefix + name + "down_proj.weight"]
        )
    }

    private func add(
        _ result: Operators.FeedForward.Gradients,
        _ name: String,
        _ gradients: inout ParameterSet
    ) -> Tensor {
        accumulate(result.weights, name, &gradients)
        return result.input
    }

    private func accumulate(
        _ weights: Operators.FeedForward.Weights,
        _ name: String,
        _ gradients: inout ParameterSet
    ) {
        gradients.accumulate(prefix + name + "gate_proj.weight", weights.gate)
        gradients.accumulate(prefix + name + "up_proj.weight", weights.up)
        gradients.accumulate(prefix + name + "down_proj.weight", weights.down)
    }
}

import SparseAttention

/// A mixture of experts: each token passes through the few its router chose, and through the shared ones.
///
/// Source: DeepSeek-V3 `inference/model.py`, `MoE`.
struct ExpertLayer: Sendable {
    private let router: Router
    private let experts: [FeedForward]
    private let shared: FeedForward?
    private let arithmetic: Arithmetic
    private let workers: Workers

    init(configuration: ModelConfiguration, prefix: String, loader: WeightLoader) throws {
        let (hiddenDim, expertDim) = (configuration.hiddenDim, configuration.expertFeedForwardDim)
        arithmetic = loader.arithmetic
        workers = loader.workers
        router = Router(
            rule: Router.Rule(
                expertsPerToken: configuration.expertsPerToken,
                groups: configuration.expertGroups,
                keptGroups: configuration.keptGroups,
                normalizes: configuration.normalizesExpertWeights,
                scale: Float(configuration.routedScale),
                mistake: loader.arithmetic.mistake
            ),
            weight: try loader.matrix(
                prefix + "gate",
                outputs: configuration.routedExperts,
                inputs: hiddenDim
            ),
            bias: try loader.vector(
                prefix + "gate.e_score_correction_bias",
                count: configuration.routedExperts
            ).elements,
            workers: loader.workers
        )
        experts = try (0..<configuration.routedExperts).map { expert in
            try FeedForward(
                prefix: prefix + "experts.\(expert).",
                hiddenDim: hiddenDim,
                feedForwardDim: expertDim,
                loader: loader
            )
        }
        shared =
            configuration.sharedExperts == 0
            ? nil
            : try FeedForward(
                prefix: prefix + "shared_experts.",
                hiddenDim: hiddenDim,
                feedForwardDim: expertDim * configuration.sharedExperts,
                loader: loader
            )
    }

    /// - Parameters:
    ///   - rows: `[tokens, hiddenDim]`.
    ///   - probe: watches the stages.
    /// - Returns: `[tokens, hiddenDim]`: the weighted sum over experts, ascending, plus the shared experts.
    /// - Throws: `SparseAttentionError.nonFinite` for an input that cannot be quantized.
    func callAsFunction(_ rows: Tensor, probe: LayerProbe?) throws -> Tensor {
        let scores = router.scores(rows)
        let choices = router.choose(scores)
        probe?.record(.routerScores, scores)
        probe?.record(.experts, .choices(choices.map { $0.map(\.expert) }))
        probe?.record(.expertWeights, try weights(choices))
        if rows.shape.rows == 1, arithmetic.inputFormat == nil {
            return arithmetic.rounded(try decode(rows, choices[0]))
        }
        var members = [[(row: Int, weight: Float)]](repeating: [], count: experts.count)
        for (row, choice) in choices.enumerated() {
            for (expert, weight) in choice {
                members[expert].append((row, weight))
            }
        }
        var output = Tensor(repeating: 0, shape: rows.shape)
        for (expert, members) in zip(experts, members) where !members.isEmpty {
            let part = try expert(rows.gathered(members.map(\.row)))
            for (index, member) in members.enumerated() {
                output.add(part, row: index, times: member.weight, toRow: member.row)
            }
        }
        if let shared {
            output.add(try shared(rows))
        }
        return arithmetic.rounded(output)
    }

    /// The same for one row: all its experts, the shared ones last, in two regions of work.
    private func decode(_ row: Tensor, _ choice: Router.Choice) throws -> Tensor {
        var chosen = choice.map { (layer: experts[$0.expert], weight: $0.weight) }
        if let shared { chosen.append((shared, 1)) }
        func apply(_ parts: [WeightMatrix.Part], to input: Tensor) -> Tensor {
            WeightMatrix.apply(parts, to: input, products: arithmetic.products, workers: workers)
        }
        let gatesAndUps = arithmetic.rounded(
            apply(
                chosen.map { .init($0.layer.gate.weight) } + chosen.map { .init($0.layer.up.weight) },
                to: row
            )
        )
        let width = gatesAndUps.count / 2
        let gated = arithmetic.rounded(
            try SwiGLU.apply(gate: gatesAndUps.slice(0..<width), up: gatesAndUps.slice(width..<2 * width))
        )
        var start = 0
        let downs = chosen.map { expert in
            defer { start += expert.layer.down.weight.columns }
            return WeightMatrix.Part(expert.layer.down.weight, at: start)
        }
        let parts = try arithmetic.rounded(apply(downs, to: gated))
            .reshaped([chosen.count, row.shape.columns])
        var output = Tensor(repeating: 0, shape: row.shape)
        for (index, expert) in chosen.enumerated() {
            output.add(parts, row: index, times: expert.weight, toRow: 0)
        }
        return output
    }

    /// The weights of the chosen experts, `[tokens, experts]`.
    private func weights(_ choices: [Router.Choice]) throws -> Tensor {
        try Tensor(choices.flatMap { $0.map(\.weight) }, shape: [choices.count, choices.first?.count ?? 0])
    }
}

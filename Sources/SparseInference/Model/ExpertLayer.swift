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
        let groups = groups(choices)
        let isFew = rows.shape.rows <= WeightMatrix.fewInputs && arithmetic.inputFormat == nil
        let parts = isFew ? try together(rows, groups) : try oneByOne(rows, groups)
        var output = Tensor(repeating: 0, shape: rows.shape)
        for (part, group) in zip(parts, groups) {
            for (index, member) in group.members.enumerated() {
                output.add(part, row: index, times: member.weight, toRow: member.row)
            }
        }
        return arithmetic.rounded(output)
    }

    /// An expert, and the rows that go through it.
    private struct Group {
        let layer: FeedForward
        let members: [(row: Int, weight: Float)]
    }

    /// The chosen experts, ascending, and the shared ones last, for all rows.
    private func groups(_ choices: [Router.Choice]) -> [Group] {
        var members = [[(row: Int, weight: Float)]](repeating: [], count: experts.count)
        for (row, choice) in choices.enumerated() {
            for (expert, weight) in choice {
                members[expert].append((row, weight))
            }
        }
        let chosen = zip(experts, members).filter { !$1.isEmpty }.map { Group(layer: $0, members: $1) }
        return chosen + (shared.map { [Group(layer: $0, members: choices.indices.map { ($0, 1) })] } ?? [])
    }

    /// What each expert makes of its rows.
    private func oneByOne(_ rows: Tensor, _ groups: [Group]) throws -> [Tensor] {
        try groups.map { try $0.layer(rows.gathered($0.members.map(\.row))) }
    }

    /// The same for a few rows: all experts in two regions of work.
    private func together(_ rows: Tensor, _ groups: [Group]) throws -> [Tensor] {
        func apply(_ parts: [WeightMatrix.Part], to input: Tensor) -> Tensor {
            WeightMatrix.apply(parts, to: input, products: arithmetic.products, workers: workers)
        }
        func inputs(_ layer: KeyPath<FeedForward, Linear>) -> [WeightMatrix.Part] {
            groups.map { group in
                WeightMatrix.Part(
                    group.layer[keyPath: layer].weight,
                    at: group.members.map { $0.row * rows.shape.columns }
                )
            }
        }
        let gatesAndUps = arithmetic.rounded(apply(inputs(\.gate) + inputs(\.up), to: rows))
        let width = gatesAndUps.count / 2
        let gated = arithmetic.rounded(
            try SwiGLU.apply(gate: gatesAndUps.slice(0..<width), up: gatesAndUps.slice(width..<2 * width))
        )
        var start = 0
        let downs = groups.map { group in
            let weight = group.layer.down.weight
            let starts = group.members.indices.map { start + $0 * weight.columns }
            start += group.members.count * weight.columns
            return WeightMatrix.Part(weight, at: starts)
        }
        let outputs = try arithmetic.rounded(apply(downs, to: gated))
            .reshaped([groups.reduce(0) { $0 + $1.members.count }, rows.shape.columns])
        var first = 0
        return try groups.map { group in
            defer { first += group.members.count }
            return try outputs.slice(first..<first + group.members.count)
        }
    }

    /// The weights of the chosen experts, `[tokens, experts]`.
    private func weights(_ choices: [Router.Choice]) throws -> Tensor {
        try Tensor(choices.flatMap { $0.map(\.weight) }, shape: [choices.count, choices.first?.count ?? 0])
    }
}

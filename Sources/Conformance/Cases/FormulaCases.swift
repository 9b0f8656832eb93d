import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// The small formulas of part F: load balancing, and the loss of group relative policy optimization.
struct FormulaCases {
    private let golden: GoldenFile
    private let parameters: JSONValue

    /// The largest `|a − b| / (|b| + 0.1)`: 1e-6 of the value, and 1e-7 beside it.
    private static let bound = 1e-6

    init(_ golden: GoldenFile, parameters: JSONValue) {
        self.golden = golden
        self.parameters = parameters
    }

    var all: [ConformanceCase] {
        biasUpdates + balanceLosses + policies
    }

    private func item(_ group: String, _ run: @escaping () throws -> [Measurement]) -> ConformanceCase {
        ConformanceCase("training/formulas/" + group) { .worst(try run()) }
    }

    private func compare(_ found: [Float], _ name: String) throws -> Measurement {
        Comparison.formula(found, try golden.floats(name), bound: Self.bound, as: name)
    }

    private var biasUpdates: [ConformanceCase] {
        golden.groups("bias_update.", endingBefore: ".load").map { group in
            item(group) {
                let bias = LoadBalancing.updated(
                    try golden.floats(group + ".bias"),
                    load: try golden.ints(group + ".load"),
                    speed: Float(try parameters.at(group).number("gamma"))
                )
                return [try compare(bias, group + ".new_bias")]
            }
        }
    }

    private var balanceLosses: [ConformanceCase] {
        golden.groups("balance_loss.", endingBefore: ".scores").map { group in
            item(group) {
                let scores = try golden.tensor(group + ".scores", rank: 2)
                let options = try parameters.at(group)
                let loss = try LoadBalancing.SequenceLoss(
                    scores: scores,
                    expertsPerToken: try options.integer("experts_per_token"),
                    alpha: Float(try options.number("alpha"))
                )
                return [
                    try compare(loss.frequencies, group + ".f"), try compare(loss.shares, group + ".P"),
                    try compare([loss.loss], group + ".loss"),
                    try compare(loss.scoreGradients.elements, group + ".grad_scores"),
                ]
            }
        }
    }

    private var policies: [ConformanceCase] {
        golden.groups("grpo.", endingBefore: ".rewards").map { group in
            item(group) {
                let options = try parameters.at(group)
                let (clip, beta) = (Float(try options.number("epsilon")), Float(try options.number("beta")))
                func policy(_ weight: Float, _ kind: GroupRelativePolicy.Divergence) -> GroupRelativePolicy {
                    GroupRelativePolicy(clip: clip, divergenceWeight: weight, divergence: kind)
                }
                let rewards = try golden.floats(group + ".rewards")
                let tokens = try tokens(group, answers: rewards.count)
                let means = try golden.floats(group + ".advantages.mean_only")
                guard means.count == rewards.count else { throw GoldenFault.emptyTensor(group) }
                let surrogate = policy(0, .plain).loss(tokens, advantages: means)
                let results = [
                    ("surrogate", surrogate), ("kl_k3", policy(1, .plain).divergence(tokens)),
                    ("kl_unbiased", policy(1, .ratioWeighted).divergence(tokens)),
                    ("total", policy(beta, .plain).loss(tokens, advantages: means)),
                    ("total_unbiased", policy(beta, .ratioWeighted).loss(tokens, advantages: means)),
                ]
                let clipped = surrogate.clipped.flatMap { $0.map { UInt8($0 ? 1 : 0) } }
                return [
                    Comparison.equal(clipped, try golden.codes(group + ".clipped"), as: group + ".clipped"),
                    try advantages(group, rewards, "mean_only", .meanOnly),
                    try advantages(group, rewards, "sample_std", .sampleDeviation),
                    try advantages(group, rewards, "population_std", .populationDeviation),
                ]
                    + (try results.flatMap { name, result in
                        let name = "\(group).\(name)."
                        return [
                            try compare(result.perToken.flatMap { $0 }, name + "per_token"),
                            try compare([result.loss], name + "loss"),
                            try compare(result.gradient.flatMap { $0 }, name + "grad_logp"),
                        ]
                    })
            }
        }
    }

    private func advantages(
        _ group: String,
        _ rewards: [Float],
        _ name: String,
        _ kind: GroupRelativePolicy.Advantage
    ) throws -> Measurement {
        try compare(GroupRelativePolicy.advantages(rewards, kind), "\(group).advantages.\(name)")
    }

    private func tokens(_ group: String, answers: Int) throws -> GroupRelativePolicy.Tokens {
        func rows<Element>(_ values: [Element]) throws -> [[Element]] {
            guard answers > 0, values.count.isMultiple(of: answers) else {
                throw GoldenFault.emptyTensor(group)
            }
            let count = values.count / answers
            return (0..<answers).map { Array(values[$0 * count..<($0 + 1) * count]) }
        }
        let current = try golden.floats(group + ".logp")
        let (old, reference) = (
            try golden.floats(group + ".logp_old"), try golden.floats(group + ".logp_ref")
        )
        let mask = try golden.codes(group + ".mask").map { $0 != 0 }
        guard old.count == current.count, reference.count == current.count, mask.count == current.count else {
            throw GoldenFault.emptyTensor(group)
        }
        return .init(
            current: try rows(current),
            old: try rows(old),
            reference: try rows(reference),
            counts: try rows(mask)
        )
    }
}

extension Comparison {
    /// The largest `|a − b| / (|b| + 0.1)`.
    static func formula(_ found: [Float], _ expected: [Float], bound: Double, as what: String) -> Measurement
    {
        worst(found, expected, bound: bound, as: what) { abs($0 - $1) / (abs($1) + 0.1) }
    }
}

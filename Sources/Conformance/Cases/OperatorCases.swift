import Foundation
import SparseAttention
package import SparseInference

/// Part B: single operators, against results computed in float64.
package struct OperatorCases {
    let golden: GoldenFile
    let parameters: JSONValue

    /// The bound the data's README gives for a float32 implementation: `2e-5 + 2e-5 · |expected|`.
    static let bound = 2e-5

    init(_ url: URL, parameters: URL) throws {
        self.init(try GoldenFile(url), parameters: try readJSON(parameters))
    }

    /// The cases of opened data and their scalar parameters.
    package init(_ golden: GoldenFile, parameters: JSONValue) {
        self.golden = golden
        self.parameters = parameters
    }

    /// The cases, one for each group of tensors.
    package var all: [ConformanceCase] {
        norms + rotary + feedForward + attention + packedRows + indexer + divergence
    }

    func item(_ name: String, _ run: @escaping () throws -> [Measurement]) -> ConformanceCase {
        ConformanceCase("ops/\(name)") { .worst(try run()) }
    }

    // MARK: - Norms

    private var norms: [ConformanceCase] {
        let rms = golden.groups("rms_norm.", endingBefore: ".out").map { group in
            item(group) { [golden] in
                let norm = RMSNorm(
                    weight: try golden.tensor(group + ".weight"),
                    epsilon: try Self.epsilon(group)
                )
                let output = try norm(golden.tensor(group + ".x"))
                return [
                    Comparison.close(output.elements, try golden.floats(group + ".out"), bound: Self.bound)
                ]
            }
        }
        let layer = golden.groups("layer_norm.", endingBefore: ".out").map { group in
            item(group) { [golden] in
                let norm = try LayerNorm(
                    weight: golden.tensor(group + ".weight"),
                    bias: golden.tensor(group + ".bias"),
                    epsilon: Self.epsilon(group)
                )
                let output = try norm(golden.tensor(group + ".x"))
                return [
                    Comparison.close(output.elements, try golden.floats(group + ".out"), bound: Self.bound)
                ]
            }
        }
        return rms + layer
    }

    /// The number behind `eps` in a case's name.
    private static func epsilon(_ group: String) throws -> Float {
        guard let text = group.components(separatedBy: ".eps").last, let epsilon = Float(text) else {
            throw GoldenFault.missingKey(group + " eps")
        }
        return epsilon
    }

    // MARK: - Position

    private var rotary: [ConformanceCase] {
        let yarn = golden.groups("yarn.", endingBefore: ".inv_freq_hf").map { group in
            item(group) { [golden, parameters] in
                let name = String(group.dropFirst("yarn.".count))
                let settings = try parameters.at("yarn", name)
                let scaling = try settings.at("rope_scaling")
                let yarn = YaRN(
                    factor: try scaling.number("factor"),
                    originalPositions: try scaling.integer("original_max_position_embeddings"),
                    betaFast: try scaling.number("beta_fast"),
                    betaSlow: try scaling.number("beta_slow"),
                    mscale: scaling.object?["mscale"]?.double,
                    mscaleAllDim: scaling.object?["mscale_all_dim"]?.double
                )
                let expected = try golden.floats(group + ".inv_freq_hf")
                let dim = try settings.integer("rope_dim")
                try golden.check(dim, is: 2 * expected.count, .ropeDim, of: "rope_dim")
                let rope = try RotaryEmbedding(
                    dim: dim,
                    theta: settings.number("rope_theta"),
                    yarn: yarn
                )
                let scale = Float(try 1 / settings.number("qk_head_dim").squareRoot() * yarn.softmaxScale)
                // The two published spellings differ by one unit in the last place, 1.2e-7 of a frequency.
                return [
                    Self.frequencies(rope, expected, as: "inv_freq_hf"),
                    Self.frequencies(rope, try golden.floats(group + ".inv_freq_demo"), as: "inv_freq_demo"),
                    Self.constant(
                        rope.rotationScale,
                        try settings.number("cos_sin_factor"),
                        as: "cos_sin_factor"
                    ),
                    Self.constant(scale, try settings.number("softmax_scale"), as: "softmax_scale"),
                ]
            }
        }
        let rotations = golden.groups("rope.", endingBefore: ".positions").map { group in
            item(group) { [golden] in
                let rope = try RotaryEmbedding(inverseFrequencies: golden.floats(group + ".inv_freq"))
                let rotation = try rope.rotation(at: golden.ints(group + ".positions"))
                var measurements = [
                    Comparison.close(
                        rotation.cosines.elements,
                        try golden.floats(group + ".cos"),
                        bound: Self.bound,
                        as: "cos"
                    ),
                    Comparison.close(
                        rotation.sines.elements,
                        try golden.floats(group + ".sin"),
                        bound: Self.bound,
                        as: "sin"
                    ),
                ]
                for (layout, name) in [(RopeLayout.interleaved, "interleaved"), (.halfSplit, "half_split")] {
                    var vectors = try golden.tensor(group + ".x")
                    try rope.rotate(&vectors, by: rotation, layout: layout)
                    let expected = try golden.floats("\(group).\(name)")
                    measurements.append(
                        Comparison.close(vectors.elements, expected, bound: Self.bound, as: name)
                    )
                }
                return measurements
            }
        }
        return yarn + rotations
    }

    private static func frequencies(_ rope: RotaryEmbedding, _ expected: [Float], as what: String)
        -> Measurement
    {
        let ratios = zip(rope.inverseFrequencies, expected).map { $0 / $1 }
        return Comparison.absolute(ratios, ratios.map { _ in 1 }, bound: 2.4e-7, as: what)
    }

    private static func constant(_ found: Float, _ expected: Double, as what: String) -> Measurement {
        Comparison.close([found], [Float(expected)], bound: 2.4e-7, as: what)
    }

    // MARK: - Feed-forward

    private var feedForward: [ConformanceCase] {
        let swiglu = golden.contains("swiglu.out") ? ["swiglu"] : []
        return swiglu.map { group in
            item(group) { [golden] in
                func project(_ rows: Tensor, _ name: String) throws -> Tensor {
                    try golden.matrix(group + name, columns: rows.shape.columns).apply(
                        to: rows,
                        workers: .all
                    )
                }
                let x = try golden.tensor(group + ".x")
                let hidden = try SwiGLU.apply(gate: project(x, ".gate_proj"), up: project(x, ".up_proj"))
                let output = try project(hidden, ".down_proj")
                return [
                    Comparison.close(output.elements, try golden.floats(group + ".out"), bound: Self.bound)
                ]
            }
        }
            + golden.groups("moe_gate.", endingBefore: ".expert_ids").map { group in
                item(group) { [golden, parameters] in
                    let rows = try golden.tensor(group + ".x", rank: 2)
                    let weight = try golden.matrix(group + ".weight", columns: rows.shape.columns)
                    let router = Router(
                        rule: try Self.rule(parameters.at("moe_gate", group), experts: weight.rows),
                        weight: weight,
                        bias: try golden.tensor(group + ".bias", rank: 1, columns: weight.rows).elements,
                        workers: .all
                    )
                    let choices = router(rows).flatMap { $0 }
                    return [
                        Comparison.equal(
                            choices.map(\.expert),
                            try golden.ints(group + ".expert_ids"),
                            as: "expert_ids"
                        ),
                        Comparison.close(
                            choices.map(\.weight),
                            try golden.floats(group + ".expert_weights"),
                            bound: Self.bound,
                            as: "expert_weights"
                        ),
                    ]
                }
            }
    }

    /// A rule of routing that some experts can follow.
    private static func rule(_ settings: JSONValue, experts: Int) throws -> Router.Rule {
        func integer(_ key: String, in allowed: ClosedRange<Int>) throws -> Int {
            let found = try settings.integer(key)
            guard allowed.contains(found) else {
                throw SparseAttentionError.invalidSetting(
                    name: key,
                    found: "\(found)",
                    expected: "\(allowed.lowerBound) to \(allowed.upperBound)"
                )
            }
            return found
        }
        let groups = try integer("n_group", in: 1...experts)
        guard experts.isMultiple(of: groups) else {
            throw SparseAttentionError.invalidSetting(
                name: "n_group",
                found: "\(groups)",
                expected: "a divisor of \(experts)"
            )
        }
        return Router.Rule(
            expertsPerToken: try integer("num_experts_per_tok", in: 1...experts),
            groups: groups,
            keptGroups: try integer("topk_group", in: 1...groups),
            normalizes: try settings.at("norm_topk_prob").bool ?? true,
            scale: Float(try settings.number("routed_scaling_factor"))
        )
    }
}

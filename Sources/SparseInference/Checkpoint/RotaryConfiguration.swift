public import SparseAttention

/// How a model encodes positions by rotation.
public struct RotaryConfiguration: Equatable, Sendable {
    /// The base of the frequencies: pair `i` turns by `theta^(-2i / ropeDim)` per token.
    public let theta: Double
    /// How the frequencies are stretched to longer contexts; nil when they are not.
    public let yarn: YaRN?
}

// MARK: - Reading

extension RotaryConfiguration {
    /// The theta of models that name none.
    private static let defaultTheta = 10_000.0
    /// From 2: a base of 1 or less gives no range of frequencies.
    private static let allowedTheta = 2...1e15
    private static let allowedFactor = 1...1e6
    /// Turns over the original context.
    private static let allowedBeta = 1e-3...1e6
    private static let allowedScale = 0...1e3
    private static let allowedAttentionFactor = 1e-6...1e6

    /// Reads the old spelling, `rope_theta` beside an object `rope_scaling`, and the new one, an object
    /// `rope_parameters` with all in it; what both say must agree.
    init(_ configuration: ConfigurationFields) throws(ConfigurationFault) {
        let old = try configuration.fields("rope_scaling")
        let new = try configuration.fields("rope_parameters")
        var theta: (name: String, value: Double)?
        for fields in [configuration, new, old] {
            guard let fields, let value = try fields.optionalNumber("rope_theta", in: Self.allowedTheta)
            else {
                continue
            }
            let name = fields.path("rope_theta")
            if let theta, theta.value != value {
                throw .conflict(
                    field: theta.name,
                    found: "\(theta.value)",
                    other: name,
                    otherFound: "\(value)"
                )
            }
            theta = (name, value)
        }
        self.theta = theta?.value ?? Self.defaultTheta

        var kind: (name: String, value: String)?
        for fields in [new, old] {
            for key in ["rope_type", "type"] {
                guard let fields, let value = try fields.optionalString(key) else { continue }
                if let kind, kind.value != value {
                    throw .conflict(
                        field: kind.name,
                        found: "\"\(kind.value)\"",
                        other: fields.path(key),
                        otherFound: "\"\(value)\""
                    )
                }
                kind = (fields.path(key), value)
            }
        }
        guard let kind else {
            // The old object is there for nothing but scaling.
            guard old == nil else { throw .missingField("rope_scaling.type") }
            yarn = nil
            return
        }
        switch kind.value {
        case "default":
            yarn = nil
        case "yarn":
            // Whichever object names the kind has the rest; the older one when both do.
            guard let fields = old ?? new else { throw .missingField("rope_scaling") }
            yarn = try Self.yarn(fields)
        default:
            throw .unsupported(
                field: kind.name,
                found: "\"\(kind.value)\"",
                supported: ["\"default\"", "\"yarn\""]
            )
        }
    }

    private static func yarn(_ fields: ConfigurationFields) throws(ConfigurationFault) -> YaRN {
        try fields.expect("truncate", true)
        let betaSlow = try fields.optionalNumber("beta_slow", in: allowedBeta) ?? 1
        let betaFast = try fields.optionalNumber("beta_fast", in: betaSlow...allowedBeta.upperBound)
        return YaRN(
            factor: try fields.number("factor", in: allowedFactor),
            originalPositions: try fields.int(
                "original_max_position_embeddings",
                in: 1...ModelConfiguration.Limit.positions
            ),
            betaFast: betaFast ?? max(32, betaSlow),
            betaSlow: betaSlow,
            mscale: try fields.optionalNumber("mscale", in: allowedScale),
            mscaleAllDim: try fields.optionalNumber("mscale_all_dim", in: allowedScale),
            attentionFactor: try fields.optionalNumber("attention_factor", in: allowedAttentionFactor)
        )
    }
}

import SparseAttention
import SparseInference

extension OperatorCases {
    var attention: [ConformanceCase] {
        dense + latent + module + sparse
    }

    private var dense: [ConformanceCase] {
        golden.groups("attention.", endingBefore: ".out").map { group in
            item(group) { [golden, parameters] in
                let name = String(group.dropFirst("attention.".count))
                let scale = Float(try parameters.at("attention", name).number("scale"))
                let result = try DenseAttention().attend(
                    golden.tensor(group + ".q", rank: 3).headsSecond(),
                    keys: golden.tensor(group + ".k", rank: 3).headsSecond(),
                    values: golden.tensor(group + ".v", rank: 3).headsSecond(),
                    scale: scale
                )
                return [
                    Comparison.close(
                        result.output.elements,
                        try golden.tensor(group + ".out", rank: 3).headsSecond().elements,
                        bound: Self.bound,
                        as: "out"
                    ),
                    Comparison.close(
                        result.logSumExp.elements,
                        try golden.tensor(group + ".lse", rank: 2).transposed().elements,
                        bound: Self.bound,
                        as: "lse"
                    ),
                ]
            }
        }
    }

    private var latent: [ConformanceCase] {
        guard golden.contains("mla.out") else { return [] }
        return LatentAttention.Form.allCases.map { form in
            item("mla.\(form.rawValue)") { [golden, parameters] in
                let settings = try parameters.at("mla")
                let dimensions = try LatentAttention.Dimensions(
                    heads: settings.integer("heads"),
                    latentDim: settings.integer("kv_lora_rank"),
                    ropeDim: settings.integer("qk_rope"),
                    nopeDim: settings.integer("qk_nope"),
                    valueDim: settings.integer("v")
                )
                let attention = try LatentAttention(
                    dimensions: dimensions,
                    scale: Float(settings.number("scale"))
                )
                let queries = try golden.tensor("mla.q_nope", rank: 3)
                    .joined(with: golden.tensor("mla.q_pe", rank: 3))
                let latents = try golden.tensor("mla.c_kv", rank: 2, columns: dimensions.latentDim)
                let ropeKeys = try golden.tensor("mla.k_pe")
                try golden.check(ropeKeys.shape.columns, is: dimensions.ropeDim, .ropeDim, of: "mla.k_pe")
                var cache = try LatentCache(
                    capacity: latents.shape[0],
                    latentDim: dimensions.latentDim,
                    ropeDim: dimensions.ropeDim
                )
                try cache.append(latents: latents, ropeKeys: ropeKeys)
                let projection = LatentAttention.KeyValueProjection(try golden.tensor("mla.kv_b_proj"))
                let result = try attention.attend(queries, to: cache, through: projection, form: form)
                let absorbed = attention.absorb(queries, through: projection)
                return [
                    Comparison.close(
                        result.output.elements,
                        try golden.floats("mla.out"),
                        bound: Self.bound,
                        as: "out"
                    ),
                    Comparison.close(
                        result.logSumExp.elements,
                        try golden.floats("mla.lse"),
                        bound: Self.bound,
                        as: "lse"
                    ),
                    Comparison.close(
                        absorbed.columns(0..<dimensions.latentDim).elements,
                        try golden.floats("mla.q_absorbed"),
                        bound: Self.bound,
                        as: "q_absorbed"
                    ),
                ]
            }
        }
    }

    /// A whole attention module, float32 noise of several matrix products included.
    private var module: [ConformanceCase] {
        guard golden.contains("dsa_module.out") else { return [] }
        return LatentAttention.Form.allCases.map { form in
            item("dsa_module.\(form.rawValue)") { [golden, parameters] in
                let configuration = try ModelConfiguration.module(parameters.at("dsa_module"))
                let weights = PrefixedWeights(
                    golden.file,
                    replacing: "model.layers.0.self_attn.",
                    by: "dsa_module.weights."
                )
                let rope = try RotaryEmbedding(dim: configuration.ropeDim, theta: configuration.rope.theta)
                let layer = try AttentionLayer(
                    configuration: configuration,
                    layer: 0,
                    loader: WeightLoader(weights, workers: .all),
                    rope: rope
                )
                let input = try golden.tensor("dsa_module.x", rank: 2, columns: configuration.hiddenDim)
                let tokens = input.shape[0]
                let cache = try LayerCache(
                    configuration: configuration,
                    layer: 0,
                    capacity: tokens,
                    format: .float32,
                    indexScores: .float32
                )
                var selections: [TokenSelection?] = [nil]
                let output = try layer(
                    input,
                    sequences: [SequenceRows(0..<tokens, cache: cache)],
                    rotation: rope.rotation(at: 0..<tokens),
                    options: ForwardOptions(form: form),
                    selections: &selections,
                    probe: nil
                )
                return [
                    Comparison.equal(
                        selections[0]?.sets ?? [],
                        try golden.selection("dsa_module.topk").sets,
                        as: "topk"
                    ),
                    Comparison.close(
                        output.elements,
                        try golden.floats("dsa_module.out"),
                        bound: 1e-4,
                        as: "out"
                    ),
                ]
            }
        }
    }

    private var sparse: [ConformanceCase] {
        guard golden.contains("sparse.out") else { return [] }
        return [
            item("sparse") { [golden, parameters] in
                let settings = try parameters.at("sparse")
                let rows = try golden.tensor("sparse.kv", rank: 3)
                return try sparseMeasurements(
                    "sparse",
                    queries: golden.tensor("sparse.q"),
                    rows: rows.reshaped([rows.shape[0], rows.shape.columns]),
                    selection: golden.selection("sparse.indices"),
                    settings: settings,
                    golden: golden
                )
            }
        ]
    }

    var packedRows: [ConformanceCase] {
        golden.groups("kv656.", endingBefore: ".rows").map { group in
            item(group) { [golden, parameters] in
                let format: ScaleFormat = group.hasSuffix("pow2") ? .powerOfTwo : .float32
                let bytes = try PackedLatentRow.pack(
                    latents: golden.tensor("kv656.latent"),
                    ropeKeys: golden.tensor("kv656.rope"),
                    format: format
                )
                let rows = try PackedLatentRow.unpack(golden.codes(group + ".rows"))
                return try [
                    Comparison.equal(bytes, golden.codes(group + ".rows"), as: "rows"),
                    Comparison.bitwise(
                        rows.elements,
                        golden.floats(group + ".dequantized"),
                        as: "dequantized"
                    ),
                ]
                    + sparseMeasurements(
                        group,
                        queries: golden.tensor("kv656.q"),
                        rows: rows,
                        selection: golden.selection("kv656.indices"),
                        settings: parameters.at("kv656"),
                        golden: golden
                    )
            }
        }
    }

    private func sparseMeasurements(
        _ group: String,
        queries: Tensor,
        rows: Tensor,
        selection: TokenSelection,
        settings: JSONValue,
        golden: GoldenFile
    ) throws -> [Measurement] {
        let attention = TopKAttention(valueDim: try settings.integer("d_v"))
        let scale = Float(try settings.number("scale"))
        let result = try attention.attend(queries, to: rows, at: selection, scale: scale)
        // FlashMLA reports +infinity as the log-sum-exp of a row that sees nothing; here it is −infinity.
        let logSumExp = result.logSumExp.elements.map { $0 == -.infinity ? .infinity : $0 }
        let (maximum, base2) = (result.maximumScore.elements, Float(1.4426950408889634))
        return try [
            Comparison.close(
                result.output.elements,
                golden.floats(group + ".out"),
                bound: Self.bound,
                as: "out"
            ),
            Comparison.close(
                maximum,
                golden.floats(group + ".max_logits"),
                bound: Self.bound,
                as: "max_logits"
            ),
            Comparison.close(logSumExp, golden.floats(group + ".lse"), bound: Self.bound, as: "lse"),
            Comparison.close(
                maximum.map { $0 * base2 },
                golden.floats(group + ".max_logits_base2"),
                bound: Self.bound,
                as: "max_logits_base2"
            ),
            Comparison.close(
                logSumExp.map { $0 * base2 },
                golden.floats(group + ".lse_base2"),
                bound: Self.bound,
                as: "lse_base2"
            ),
        ]
    }
}

extension Tensor {
    /// `[heads, tokens, dim]` as `[tokens, heads, dim]`.
    fileprivate func headsSecond() throws -> Tensor {
        let (heads, tokens, dim) = (shape[0], shape[1], shape[2])
        let order = (0..<tokens).flatMap { token in (0..<heads).map { $0 * tokens + token } }
        return try reshaped([heads * tokens, dim]).gathered(order).reshaped([tokens, heads, dim])
    }

    /// `[rows, columns]` as `[columns, rows]`.
    fileprivate func transposed() throws -> Tensor {
        try reshaped([shape[0], shape[1], 1]).headsSecond().reshaped([shape[1], shape[0]])
    }

    /// The last dimensions of two tensors side by side.
    fileprivate func joined(with other: Tensor) throws -> Tensor {
        let expected = Shape(trusted: shape.dimensions.dropLast() + [other.shape.columns])
        guard other.shape == expected else {
            throw SparseAttentionError.shapeMismatch(
                argument: "q_pe",
                expected: expected,
                found: other.shape
            )
        }
        let width = shape.columns + other.shape.columns
        var joined = Tensor(repeating: 0, shape: Shape(trusted: shape.dimensions.dropLast() + [width]))
        for row in 0..<shape.rows {
            for column in 0..<shape.columns {
                joined[row * width + column] = self[row * shape.columns + column]
            }
            for column in 0..<other.shape.columns {
                joined[row * width + shape.columns + column] = other[row * other.shape.columns + column]
            }
        }
        return joined
    }
}

extension ModelConfiguration {
    /// The configuration of a lone attention module, completed to that of a one-layer model.
    fileprivate static func module(_ settings: JSONValue) throws -> ModelConfiguration {
        let rest: [(String, JSONValue)] = [
            ("model_type", .string("deepseek_v32")), ("vocab_size", .number("2")),
            ("intermediate_size", .number("1")), ("moe_intermediate_size", .number("1")),
            ("first_k_dense_replace", .number("1")), ("n_routed_experts", .number("1")),
            ("n_shared_experts", .number("0")), ("num_experts_per_tok", .number("1")),
            ("n_group", .number("1")), ("topk_group", .number("1")),
            ("routed_scaling_factor", .number("1")), ("norm_topk_prob", .bool(true)),
            ("max_position_embeddings", .number("4096")),
        ]
        let known = settings.object?.members ?? []
        let added = rest.filter { settings.object?[$0.0] == nil }.map {
            JSONObject.Member(key: $0.0, value: $0.1)
        }
        return try ModelConfiguration(.object(JSONObject(known + added)))
    }
}

/// The tensors of a file under other names.
private final class PrefixedWeights: WeightSource {
    private let file: SafetensorsFile
    private let outer: String
    private let inner: String

    init(_ file: SafetensorsFile, replacing outer: String, by inner: String) {
        self.file = file
        self.outer = outer
        self.inner = inner
    }

    func require(_ name: String, shape: [Int], dataTypes: [DataType]) throws(SparseInferenceError)
        -> TensorEntry
    {
        let entry = try file.find(stored(name))
        guard entry.shape == shape else {
            throw .checkpoint(file: entry.file, .tensor(name, .shape(found: entry.shape, expected: shape)))
        }
        guard dataTypes.contains(entry.dataType) else {
            let fault = TensorFault.dataType(found: entry.dataType, expected: dataTypes)
            throw .checkpoint(file: entry.file, .tensor(name, fault))
        }
        return entry
    }

    func mappedBytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        file.mappedBytes(of: entry)
    }

    func floats(of name: String) throws(SparseInferenceError) -> [Float] {
        try file.floats(of: stored(name))
    }

    private func stored(_ name: String) -> String {
        name.hasPrefix(outer) ? inner + name.dropFirst(outer.count) : name
    }
}

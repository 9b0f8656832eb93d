import SparseAttention
import SparseInference
import TestSupport

/// A tensor to be written into a weight file.
struct TinyWeight {
    var name: String
    var shape: [Int]
    var dataType = DataType.float32
    /// The elements; types that a model's numbers are never stored as are written as zeros.
    var values: [Float]

    /// Random elements that keep activations near one: norms near 1, biases small, matrices of unit gain.
    init(_ name: String, shape: [Int], using generator: inout SeededGenerator) {
        self.name = name
        self.shape = shape
        let count = shape.reduce(1, *)
        let (center, width): (Float, Float) =
            if shape.count == 1 {
                name.hasSuffix("norm.weight") ? (1, 0.2) : (0, 0.3)
            } else {
                (0, name.hasSuffix("embed_tokens.weight") ? 1 : (3 / Float(shape[1])).squareRoot())
            }
        values = (0..<count).map { _ in center + width * generator.uniform() }
    }
}

// MARK: - Formats

extension TinyWeight {
    /// The elements as they are stored.
    var bytes: [UInt8] {
        switch dataType {
        case .float32: values.withUnsafeBytes(Array.init)
        case .bfloat16: values.map { BFloat16($0).bitPattern }.withUnsafeBytes(Array.init)
        case .float16: values.map(Self.half).withUnsafeBytes(Array.init)
        case .float8E4M3: values.map { Float8E4M3($0).bitPattern }
        default: [UInt8](repeating: 0, count: values.count * dataType.byteWidth)
        }
    }

    /// Makes every element one that the type can hold.
    mutating func round(to dataType: DataType) {
        switch dataType {
        case .bfloat16: values = values.map { BFloat16($0).float }
        // Ten bits of fraction, and nothing below the smallest normal number.
        case .float16:
            values = values.map { $0.magnitude < 0x1p-14 ? 0 : Float(bitPattern: $0.bitPattern & ~0x1FFF) }
        case .float8E4M3: values = values.map { Float8E4M3($0).float }
        default: break
        }
    }

    /// The bits of an element that `round(to:)` made a binary16 number.
    private static func half(_ value: Float) -> UInt16 {
        guard value != 0 else { return 0 }
        let sign: UInt16 = value.sign == .minus ? 0x8000 : 0
        let exponent = UInt16(value.exponent + 15) << 10
        return sign | exponent | UInt16(value.significandBitPattern >> 13)
    }
}

// MARK: - Eight bits

extension TinyWeight {
    /// The matrix as codes, and its scales: powers of two, another one in each block.
    func throughFloat8() -> (codes: TinyWeight, scales: TinyWeight) {
        var (codes, scales) = (self, self)
        let blocks = shape.map { ($0 + 127) / 128 }
        scales.name += "_scale_inv"
        scales.shape = blocks
        scales.values = (0..<blocks[0] * blocks[1]).map { 0x1p-7 * Float(1 << ($0 % 3)) }
        codes.dataType = .float8E4M3
        codes.values = values.enumerated().map { index, value in
            let (row, column) = index.quotientAndRemainder(dividingBy: shape[1])
            return Float8E4M3(value / scales.values[row / 128 * blocks[1] + column / 128]).float
        }
        return (codes, scales)
    }
}

// MARK: - Names and shapes

extension ModelConfiguration {
    typealias NamedShapes = [(name: String, shape: [Int])]

    /// Names and shapes of all weights, as Hugging Face writes them; those of prediction layers not included.
    var weightShapes: NamedShapes {
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

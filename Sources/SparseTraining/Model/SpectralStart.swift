import SparseAttention
import SparseInference

/// A closed-form start of a layer's indexer: the leading directions of the main attention's query–key form.
///
/// What a head scores without position is a bilinear form of query latent and hidden state,
/// `q_latentᵀ · Wq_hᵀ · Wk_h · diag(g)/r · Wkv · hidden`, where `r` is the root mean square that the latents' norm divides by,
/// here a constant. Each index head stands for its share of the main heads, whose forms it averages. The forms of all index
/// heads stacked, weighted by the hidden states' second moment, have one truncated singular value decomposition
/// `U · S · V`: `V` gives the keys that all index heads share, `U · S` the queries of each. The rotated part is the main
/// attention's own, averaged alike. Parts of the key have unit variance, so that its LayerNorm changes little; the head
/// weights are the least-squares answer to "1 for every token".
struct SpectralStart {
    let configuration: ModelConfiguration
    let sizes: IndexerConfiguration

    /// Tokens that moments are taken over, at most.
    static let samples = 2048
    /// What scores are multiplied by to fit.
    static let factors = (0...10).map { Float(1) / Float(1 << $0) }
    /// Directions of the hidden states below this share of the largest are left out.
    private static let tolerance: Float = 1e-3

    /// The indexer's parameters of one layer.
    ///
    /// - Parameters:
    ///   - prefix: the layer's attention, such as `model.layers.0.self_attn.`.
    ///   - hidden: the attention's input for some text, `[tokens, hiddenDim]`.
    ///   - parameters: those of the model.
    /// - Returns: `wq_b`, `wk`, `k_norm` and `weights_proj` by their whole names.
    /// - Throws: `SparseAttentionError.decompositionFailed`, or `nonFinite` for damaged weights.
    func parameters(_ prefix: String, hidden: Tensor, _ parameters: ParameterSet) throws -> [(String, Tensor)]
    {
        let sample = hidden.rows(0..<min(hidden.shape[0], Self.samples))
        let moment = try Moment(sample, tolerance: Self.tolerance)
        let main = try MainForms(configuration, parameters, prefix, moment)
        let ropeDim = configuration.ropeDim
        let plainDim = sizes.headDim - ropeDim
        let groups = (0..<sizes.heads).map { heads(of: $0) }
        // [indexHeads · queryLatentDim, hiddenDim]
        let stacked = Tensor.stacked(try groups.map { try main.form(of: $0) })
        let spectrum = try LinearAlgebra.singularValues(of: stacked)
        let rank = min(plainDim, spectrum.values.count)
        let directions = try LinearAlgebra.multiply(spectrum.right.rows(0..<rank), moment.inverseRoot)
        let ropeKeys = try main.ropeKeys(layout: sizes.ropeLayout)
        let keys = Tensor.stacked([
            ropeKeys.weight, directions,
            Tensor(repeating: 0, shape: [plainDim - rank, configuration.hiddenDim]),
        ])
        let latentDim = stacked.shape[0] / sizes.heads
        let queries = groups.enumerated().flatMap { head, group in
            let block = spectrum.left.rows(head * latentDim..<(head + 1) * latentDim).columns(0..<rank)
            return [
                main.ropeQueries(of: group, layout: sizes.ropeLayout).scaled(by: ropeKeys.size),
                block.transposedMatrix.scalingRows(by: spectrum.values.elements),
                Tensor(repeating: 0, shape: [plainDim - rank, latentDim]),
            ]
        }
        let constant = try LinearAlgebra.leastSquares(
            sample,
            Tensor(repeating: 1, shape: [sample.shape[0], 1]),
            tolerance: Self.tolerance
        ).transposedMatrix
        // Head weights are divided by √(heads · headDim) where they are used.
        let scale = configuration.softmaxScale * Float(sizes.heads * sizes.headDim).squareRoot()
        let indexer = prefix + "indexer."
        return [
            (indexer + "wq_b.weight", Tensor.stacked(queries)), (indexer + "wk.weight", keys),
            (indexer + "k_norm.weight", Tensor(repeating: 1, shape: [sizes.headDim])),
            (indexer + "k_norm.bias", Tensor(repeating: 0, shape: [sizes.headDim])),
            (
                indexer + "weights_proj.weight",
                Tensor.stacked(Array(repeating: constant.scaled(by: scale), count: sizes.heads))
            ),
        ]
    }

    /// The main heads that an index head stands for; at least one.
    private func heads(of indexHead: Int) -> Range<Int> {
        let first = indexHead * configuration.heads / sizes.heads
        return first..<max(first + 1, (indexHead + 1) * configuration.heads / sizes.heads)
    }
}

/// The second moment of hidden states, as its root and the inverse of that.
private struct Moment {
    let root: Tensor  // [hiddenDim, hiddenDim]
    let inverseRoot: Tensor  // without the directions that hardly occur

    init(_ hidden: Tensor, tolerance: Float) throws {
        let spectrum = try LinearAlgebra.singularValues(
            of: hidden.scaled(by: 1 / Float(hidden.shape[0]).squareRoot())
        )
        let values = spectrum.values.elements
        let least = tolerance * (values.first ?? 0)
        func product(_ values: [Float]) throws -> Tensor {
            try LinearAlgebra.multiply(
                spectrum.right.transposedMatrix,
                spectrum.right.scalingRows(by: values)
            )
        }
        root = try product(values)
        inverseRoot = try product(values.map { $0 > least ? 1 / $0 : 0 })
    }
}

/// What the main heads' queries and keys are made with.
private struct MainForms {
    private let configuration: ModelConfiguration
    private let moment: Moment
    private let queries: Tensor  // q_b_proj: [heads · queryDim, queryLatentDim]
    private let keyValues: Tensor  // kv_b_proj: [heads · (nopeDim + valueDim), latentDim]
    private let latents: Tensor  // [latentDim, hiddenDim], normalised and weighted by the moment
    private let rope: Tensor  // [ropeDim, hiddenDim]

    init(
        _ configuration: ModelConfiguration,
        _ parameters: ParameterSet,
        _ prefix: String,
        _ moment: Moment
    ) throws {
        self.configuration = configuration
        self.moment = moment
        queries = parameters[prefix + "q_b_proj.weight"]
        keyValues = parameters[prefix + "kv_b_proj.weight"]
        let down = parameters[prefix + "kv_a_proj_with_mqa.weight"]
        let latentDim = configuration.latentDim
        rope = down.rows(latentDim..<latentDim + configuration.ropeDim)
        let weighted = try LinearAlgebra.multiply(down.rows(0..<latentDim), moment.root)
        let gains = parameters[prefix + "kv_a_layernorm.weight"].elements
        let size = max(weighted.rootMeanSquareOfRows, 1e-12)
        latents = weighted.scalingRows(by: gains.map { $0 / size })
    }

    private var queryDim: Int { configuration.nopeDim + configuration.ropeDim }

    /// The averaged form of some heads, `[queryLatentDim, hiddenDim]`.
    func form(of heads: Range<Int>) throws -> Tensor {
        var sum = Tensor(repeating: 0, shape: [queries.shape[1], latents.shape[1]])
        for head in heads {
            let (first, row) = (head * queryDim, head * (configuration.nopeDim + configuration.valueDim))
            let query = queries.rows(first..<first + configuration.nopeDim)
            let key = try LinearAlgebra.multiply(
                keyValues.rows(row..<row + configuration.nopeDim),
                latents
            )
            sum.add(try LinearAlgebra.multiply(query.transposedMatrix, key))
        }
        return sum.scaled(by: 1 / Float(heads.count))
    }

    /// The averaged rotated queries of some heads in the indexer's order, `[ropeDim, queryLatentDim]`.
    func ropeQueries(of heads: Range<Int>, layout: RopeLayout) -> Tensor {
        var sum = Tensor(repeating: 0, shape: [configuration.ropeDim, queries.shape[1]])
        for head in heads {
            let first = head * queryDim + configuration.nopeDim
            sum.add(queries.rows(first..<first + configuration.ropeDim))
        }
        return sum.scaled(by: 1 / Float(heads.count)).gathered(order(layout))
    }

    /// The rotated keys at unit variance in the indexer's order, `[ropeDim, hiddenDim]`, and their size before.
    func ropeKeys(layout: RopeLayout) throws -> (weight: Tensor, size: Float) {
        let size = max(try LinearAlgebra.multiply(rope, moment.root).rootMeanSquareOfRows, 1e-12)
        return (rope.gathered(order(layout)).scaled(by: 1 / size), size)
    }

    /// Where each element of the indexer's rotated part lies in the main attention's, whose pairs are neighbours.
    private func order(_ layout: RopeLayout) -> [Int] {
        let ropeDim = configuration.ropeDim
        switch layout {
        case .interleaved: return Array(0..<ropeDim)
        case .halfSplit:
            return stride(from: 0, to: ropeDim, by: 2).map { $0 }
                + stride(from: 1, to: ropeDim, by: 2).map { $0 }
        }
    }
}

extension Tensor {
    /// Rows of several matrices, one below the other.
    fileprivate static func stacked(_ parts: [Tensor]) -> Tensor {
        var all = Tensor(uninitialized: [parts.reduce(0) { $0 + $1.shape.rows }, parts[0].shape.columns])
        var start = 0
        for part in parts where part.shape.rows > 0 {
            all.setRows(start..<start + part.shape.rows, to: part)
            start += part.shape.rows
        }
        return all
    }

    fileprivate var transposedMatrix: Tensor {
        let (rows, columns) = (shape.rows, shape.columns)
        let source = elements
        var target = Tensor(uninitialized: [columns, rows])
        target.withMutableElements { elements in
            for row in 0..<rows {
                for column in 0..<columns { elements[column * rows + row] = source[row * columns + column] }
            }
        }
        return target
    }

    /// Each row times its factor; factors beyond the rows are not used.
    fileprivate func scalingRows(by factors: [Float]) -> Tensor {
        var scaled = self
        scaled.withMutableMatrix { matrix in
            for row in 0..<matrix.rows { Kernels.scale(matrix[row], by: factors[row], count: matrix.columns) }
        }
        return scaled
    }

    /// The root of the mean over rows of their squared lengths.
    fileprivate var rootMeanSquareOfRows: Float {
        let squares = elements.reduce(0.0) { $0 + Double($1) * Double($1) }
        return Float((squares / Double(max(shape.rows, 1))).squareRoot())
    }
}

extension TrainableModel {
    /// Replaces the parameters of all indexers by their closed-form start.
    ///
    /// Directions come from the weights. How large scores are, which no selection depends on, is what fits the attention
    /// over a text best, among powers of two.
    ///
    /// - Parameters:
    ///   - parameters: those of the model, changed.
    ///   - tokens: a text whose hidden states directions are weighted by.
    /// - Throws: `SparseAttentionError.decompositionFailed`, or `nonFinite` for damaged weights.
    public func startIndexers(of parameters: inout ParameterSet, on tokens: [Int]) throws {
        guard let sizes = configuration.indexer, sizes.headDim >= configuration.ropeDim else { return }
        let start = SpectralStart(configuration: configuration, sizes: sizes)
        var found: [(String, Tensor)] = []
        try forEachDenseLayer(tokens, parameters) { attention, trace in
            guard attention.indexer != nil else { return }
            found += try start.parameters(attention.prefix, hidden: trace.hidden, parameters)
        }
        for (name, tensor) in found { parameters[name] = tensor }
        var factors: [(String, Float)] = []
        try forEachDenseLayer(Array(tokens.prefix(SpectralStart.samples)), parameters) { attention, trace in
            guard let indexer = attention.indexer, let indexed = trace.indexer else { return }
            let mass = attention.mass(trace, parameters)
            let losses = SpectralStart.factors.map { factor in
                var operands = indexed.operands
                operands.weights = operands.weights.scaled(by: factor)
                let result = indexer.loss(weight: 0).overVisible(operands) { mass.write($0, into: $1) }
                return result.losses.elements.reduce(0.0) { $0 + Double($1) }
            }
            let best = losses.indices.min { losses[$0] < losses[$1] } ?? 0
            factors.append((attention.prefix + "indexer.weights_proj.weight", SpectralStart.factors[best]))
        }
        for (name, factor) in factors {
            parameters.mutate(name) { $0 = $0.scaled(by: factor) }
        }
    }
}

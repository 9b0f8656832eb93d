package import SparseAttention

/// Takes a model's weights out of where they are stored, each checked for name, shape and type.
package struct WeightLoader {
    let source: any WeightSource
    let arithmetic: Arithmetic
    let workers: Workers

    /// A loader of named weights, for layers of the given arithmetic that run on the given threads.
    package init(_ source: any WeightSource, arithmetic: Arithmetic = .float32, workers: Workers) {
        self.source = source
        self.arithmetic = arithmetic
        self.workers = workers
    }

    /// What the numbers of norms and biases may be stored as.
    private static let plainTypes: [DataType] = [.float32, .bfloat16, .float16]

    /// The weight of a linear layer, left where it is stored.
    ///
    /// - Parameters:
    ///   - name: the tensor's name without `.weight`.
    ///   - outputs: its rows.
    ///   - inputs: its columns.
    /// - Returns: the weight, in place.
    /// - Throws: `SparseInferenceError.checkpoint` when it is missing or is something else.
    package func matrix(_ name: String, outputs: Int, inputs: Int) throws(SparseInferenceError)
        -> WeightMatrix
    {
        let entry = try source.require(
            name + ".weight",
            shape: [outputs, inputs],
            dataTypes: Self.plainTypes + [.float8E4M3]
        )
        guard let base = source.mappedBytes(of: entry).baseAddress else {
            throw .checkpoint(file: entry.file, .tensor(entry.name, .missing))
        }
        return WeightMatrix(
            rows: outputs,
            columns: inputs,
            format: try format(of: entry),
            base: base,
            owner: source
        )
    }

    /// How a weight is stored; that of E4M3 codes includes the scales beside them.
    private func format(of entry: TensorEntry) throws(SparseInferenceError) -> WeightMatrix.Format {
        switch entry.dataType {
        case .bfloat16: return .bfloat16
        case .float16: return .float16
        case .float8E4M3:
            let width = BlockScales.width
            let scales = try source.require(
                entry.name + "_scale_inv",
                shape: entry.shape.map { ($0 + width - 1) / width },
                dataTypes: Self.plainTypes
            )
            return .float8(BlockScales(try source.floats(of: scales.name), columns: entry.shape[1]))
        default: return .float32
        }
    }

    /// A weight of any kind, widened to float32.
    ///
    /// - Parameters:
    ///   - name: the tensor's whole name.
    ///   - shape: its dimensions, outermost first.
    /// - Returns: its numbers.
    /// - Throws: `SparseInferenceError.checkpoint` when it is missing or is something else.
    package func tensor(_ name: String, shape: [Int]) throws(SparseInferenceError) -> Tensor {
        let suffix = ".weight"
        guard shape.count == 2, name.hasSuffix(suffix) else {
            let entry = try source.require(name, shape: shape, dataTypes: Self.plainTypes)
            return Tensor(trusted: try source.floats(of: entry.name), shape: Shape(trusted: shape))
        }
        return try matrix(String(name.dropLast(suffix.count)), outputs: shape[0], inputs: shape[1]).widened()
    }

    /// A linear layer.
    package func linear(_ name: String, outputs: Int, inputs: Int) throws(SparseInferenceError) -> Linear {
        Linear(
            weight: try matrix(name, outputs: outputs, inputs: inputs),
            arithmetic: arithmetic,
            workers: workers
        )
    }

    /// A vector of numbers, widened to float32.
    func vector(_ name: String, count: Int) throws(SparseInferenceError) -> Tensor {
        let entry = try source.require(name, shape: [count], dataTypes: Self.plainTypes)
        return Tensor(trusted: try source.floats(of: entry.name), shape: Shape(trusted: [count]))
    }

    /// A root-mean-square normalisation.
    func norm(_ name: String, count: Int, epsilon: Double) throws(SparseInferenceError) -> RMSNorm {
        RMSNorm(weight: try vector(name + ".weight", count: count), epsilon: Float(epsilon))
    }
}

extension Tensor {
    /// A tensor of elements whose number has been checked.
    init(trusted elements: [Float], shape: Shape) {
        self.init(repeating: 0, shape: shape)
        withMutableElements { span in
            for index in span.indices {
                span[index] = elements[index]
            }
        }
    }
}

/// A linear layer without bias: `y = x · weightᵀ`.
package struct Linear: Sendable {
    let weight: WeightMatrix
    fileprivate let arithmetic: Arithmetic
    fileprivate let workers: Workers

    /// Applies the layer to every row.
    ///
    /// Where the arithmetic says so, inputs of an FP8 weight are quantized first and outputs are rounded.
    ///
    /// - Parameter rows: `[n, inputs]`.
    /// - Returns: `[n, outputs]`.
    /// - Throws: `SparseAttentionError.nonFinite` for an input that cannot be quantized.
    package func callAsFunction(_ rows: Tensor) throws -> Tensor {
        arithmetic.rounded(try unrounded(rows))
    }

    /// The codes an FP8 weight's inputs become; nil where they are not quantized.
    func codedInput(_ rows: Tensor) throws -> QuantizedRows? {
        weight.isFloat8 ? try arithmetic.coded(rows) : nil
    }

    /// The same, with outputs left in float32.
    func unrounded(_ rows: Tensor) throws -> Tensor {
        weight.apply(
            to: weight.isFloat8 ? try arithmetic.quantized(rows) : rows,
            products: arithmetic.products,
            workers: workers
        )
    }

    /// The same with both factors in float32, whatever the arithmetic.
    func exact(_ rows: Tensor) throws -> Tensor {
        weight.apply(to: weight.isFloat8 ? try arithmetic.quantized(rows) : rows, workers: workers)
    }
}

import SparseAttention

/// Takes a model's weights out of a checkpoint, each checked for name, shape and type.
struct WeightLoader {
    let checkpoint: Checkpoint
    let workers: Workers

    /// The formats a linear layer's weight may be stored in.
    private static let formats: [DataType: WeightMatrix.Format] = [
        .float32: .float32, .bfloat16: .bfloat16, .float16: .float16,
    ]

    /// The weight of a linear layer, left where it is stored.
    ///
    /// - Parameters:
    ///   - name: the tensor's name without `.weight`.
    ///   - outputs: its rows.
    ///   - inputs: its columns.
    func matrix(_ name: String, outputs: Int, inputs: Int) throws(SparseInferenceError) -> WeightMatrix {
        let entry = try checkpoint.require(
            name + ".weight",
            shape: [outputs, inputs],
            dataTypes: [.float32, .bfloat16, .float16]
        )
        guard let format = Self.formats[entry.dataType],
            let base = checkpoint.mappedBytes(of: entry).baseAddress
        else {
            throw .checkpoint(file: entry.file, .tensor(entry.name, .missing))
        }
        return WeightMatrix(rows: outputs, columns: inputs, format: format, base: base, owner: checkpoint)
    }

    /// A linear layer.
    func linear(_ name: String, outputs: Int, inputs: Int) throws(SparseInferenceError) -> Linear {
        Linear(weight: try matrix(name, outputs: outputs, inputs: inputs), workers: workers)
    }

    /// A vector of numbers, widened to float32.
    func vector(_ name: String, count: Int) throws(SparseInferenceError) -> Tensor {
        let entry = try checkpoint.require(name, shape: [count], dataTypes: [.float32, .bfloat16, .float16])
        return Tensor(trusted: try checkpoint.floats(of: entry.name), shape: Shape(trusted: [count]))
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
struct Linear: Sendable {
    let weight: WeightMatrix
    let workers: Workers

    /// Applies the layer to every row.
    ///
    /// - Parameter rows: `[n, inputs]`.
    /// - Returns: `[n, outputs]`.
    func callAsFunction(_ rows: Tensor) -> Tensor {
        weight.apply(to: rows, workers: workers)
    }
}

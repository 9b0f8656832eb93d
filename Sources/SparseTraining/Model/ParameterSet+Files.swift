public import Foundation
import SparseAttention
public import SparseInference

extension ParameterSet {
    /// Reads all weights of a checkpoint but those of prediction layers, widened to float32.
    ///
    /// - Parameters:
    ///   - folder: the checkpoint.
    ///   - configuration: the model's. To begin training with, it may have indexers that the checkpoint lacks, and more tokens.
    ///   - seed: of what the checkpoint lacks: indexers, as for a model that was never sparse, and the rows of further tokens, as
    ///     large as its own; what is missing is refused when nil.
    /// - Throws: `SparseInferenceError.checkpoint` for a weight that is missing or is something else.
    public init(contentsOf folder: URL, configuration: ModelConfiguration, indexersFrom seed: UInt64? = nil)
        throws
    {
        self.init()
        let checkpoint = try Checkpoint(contentsOf: folder)
        let loader = WeightLoader(checkpoint, workers: .one)
        let random = try seed.map {
            try ParameterSet(random: configuration, deviation: Self.indexerDeviation, seed: $0)
        }
        for (name, shape) in configuration.weightShapes {
            let entry = checkpoint.entry(name)
            if let random, name.contains(".indexer."), entry == nil {
                self[name] = random[name]
            } else if let random, let rows = entry?.shape.first, Self.tokenRows.contains(name),
                rows < shape[0]
            {
                let tensor = try loader.tensor(name, shape: [rows] + shape.dropFirst())
                self[name] = try tensor.continued(by: random[name], of: Self.indexerDeviation)
            } else {
                self[name] = try loader.tensor(name, shape: shape)
            }
        }
    }

    /// Weights with a row a token.
    private static let tokenRows: Set = ["model.embed_tokens.weight", "lm_head.weight"]

    /// The standard deviation of random indexers in a trained model.
    private static let indexerDeviation: Float = 0.02

    /// Writes all parameters as one safetensors file.
    ///
    /// - Parameters:
    ///   - url: the file, replaced as a whole.
    ///   - dataType: bfloat16, or else float32.
    /// - Throws: what the file system refuses.
    func write(to url: URL, dataType: DataType) throws {
        var tensors: [String: StoredTensor] = [:]
        for name in names {
            let tensor = self[name]
            guard dataType == .bfloat16 else {
                tensors[name] = StoredTensor(tensor.elements, shape: tensor.shape.dimensions)
                continue
            }
            let halves = tensor.elements.map { BFloat16($0).bitPattern.littleEndian }
            tensors[name] = StoredTensor(
                dataType: .bfloat16,
                shape: tensor.shape.dimensions,
                bytes: halves.withUnsafeBytes { Data($0) }
            )
        }
        try SafetensorsWriter.write(tensors, metadata: ["format": "pt"], to: url)
    }
}

extension Tensor {
    /// The same with the further rows of another, scaled so that they are as large as these.
    ///
    /// - Parameters:
    ///   - other: of as many columns, and more rows.
    ///   - deviation: the standard deviation of its elements.
    /// - Returns: as many rows as the other.
    /// - Throws: never for tensors as said.
    fileprivate func continued(by other: Tensor, of deviation: Float) throws -> Tensor {
        let squares = elements.reduce(0.0) { $0 + Double($1) * Double($1) }
        let size = Float((squares / Double(max(elements.count, 1))).squareRoot())
        let further = other.elements[elements.count...].map { $0 * (size / deviation) }
        return try Tensor(elements + further, shape: other.shape)
    }
}

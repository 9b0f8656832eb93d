import Foundation
public import SparseAttention
public import SparseInference

/// Named tensors in a fixed order: the parameters of a model, or gradients of some of them.
///
/// Names are those of the checkpoint, as Hugging Face writes them.
public struct ParameterSet: Sendable {
    /// The names, in the order they were added.
    public private(set) var names: [String] = []
    private var values: [String: Tensor] = [:]

    /// No parameters.
    public init() {}

    /// Random parameters to begin with: matrices from a normal distribution, norms 1, biases 0.
    ///
    /// - Parameters:
    ///   - configuration: the model's sizes.
    ///   - deviation: the standard deviation of matrices.
    ///   - seed: where the numbers come from.
    /// - Throws: `SparseAttentionError.invalidSetting` for sizes whose product overflows.
    public init(
        random configuration: ModelConfiguration,
        deviation: Float,
        seed: UInt64
    ) throws(SparseAttentionError) {
        for (index, (name, shape)) in configuration.weightShapes.enumerated() {
            let shape = try Shape(shape)
            if name.hasSuffix("norm.weight") {
                self[name] = Tensor(repeating: 1, shape: shape)
            } else if name.hasSuffix("bias") {
                self[name] = Tensor(repeating: 0, shape: shape)
            } else {
                var generator = SplitMix64(state: seed ^ UInt64(index + 1) &* 0x9E37_79B9_7F4A_7C15)
                self[name] = generator.normal(shape, deviation: deviation)
            }
        }
    }

    /// Checks that all parameters of a model are here, each in its shape.
    ///
    /// - Parameter configuration: the model's.
    /// - Throws: `SparseInferenceError.checkpoint` for the first that is missing or has another shape.
    public func validate(for configuration: ModelConfiguration) throws(SparseInferenceError) {
        for (name, shape) in configuration.weightShapes {
            guard let value = values[name] else {
                throw .checkpoint(file: "parameters", .tensor(name, .missing))
            }
            guard value.shape.dimensions == shape else {
                let fault = TensorFault.shape(found: value.shape.dimensions, expected: shape)
                throw .checkpoint(file: "parameters", .tensor(name, fault))
            }
        }
    }

    /// A tensor by its name.
    ///
    /// - Precondition: to be read it must be there.
    public subscript(_ name: String) -> Tensor {
        get {
            guard let value = values[name] else { preconditionFailure("there is no parameter \(name)") }
            return value
        }
        set {
            if values.updateValue(newValue, forKey: name) == nil { names.append(name) }
        }
    }

    /// The tensor of a name; nil when there is none.
    public func find(_ name: String) -> Tensor? {
        values[name]
    }

    /// Changes a tensor in place.
    ///
    /// - Precondition: it is there.
    mutating func mutate(_ name: String, _ body: (inout Tensor) -> Void) {
        guard var value = values[name] else { preconditionFailure("there is no parameter \(name)") }
        values[name] = Tensor(repeating: 0, shape: [0])  // so that `value` owns its memory alone
        body(&value)
        values[name] = value
    }

    /// Adds to a tensor, which begins as this one when there is none.
    mutating func accumulate(_ name: String, _ tensor: Tensor) {
        guard values[name] != nil else { return self[name] = tensor }
        mutate(name) { $0.add(tensor) }
    }

    /// The sum of sets, added in their order; a tensor begins as the first of its name.
    init(sumOf sets: [ParameterSet], workers: Workers) throws {
        var seen: Set<String> = []
        names = sets.flatMap(\.names).filter { seen.insert($0).inserted }
        let sums = try workers.map(count: names.count) { [names] index in
            let tensors = sets.compactMap { $0.find(names[index]) }
            return tensors.dropFirst().reduce(into: tensors[0]) { $0.add($1) }
        }
        values = Dictionary(uniqueKeysWithValues: zip(names, sums))
    }

    /// The number of numbers in all tensors.
    public var count: Int { values.values.reduce(0) { $0 + $1.count } }
}

// MARK: - As gradients

extension ParameterSet {
    /// The root of the sum of all squares.
    public var norm: Double { norm { _ in true } }

    /// The root of the sum of the squares in some tensors.
    func norm(of isIncluded: (String) -> Bool) -> Double {
        names.filter(isIncluded).reduce(0) { sum, name in
            self[name].withElements { elements in
                var squares = 0.0
                for index in elements.indices {
                    squares += Double(elements[index]) * Double(elements[index])
                }
                return sum + squares
            }
        }.squareRoot()
    }

    /// Multiplies every number.
    public mutating func scale(by factor: Float) {
        for name in names {
            mutate(name) { $0 = $0.scaled(by: factor) }
        }
    }

    /// Scales all gradients so that their norm is at most a limit.
    ///
    /// Source: Pascanu et al. 2013; `torch.nn.utils.clip_grad_norm_`.
    ///
    /// - Parameter limit: the norm allowed.
    /// - Returns: the norm before.
    @discardableResult
    public mutating func clip(toNorm limit: Double) -> Double {
        let norm = norm
        let factor = limit / (norm + 1e-6)
        if factor < 1 { scale(by: Float(factor)) }
        return norm
    }
}

extension SplitMix64 {
    /// Numbers of a normal distribution around 0.
    ///
    /// Source: Box and Muller 1958.
    fileprivate mutating func normal(_ shape: Shape, deviation: Float) -> Tensor {
        var tensor = Tensor(uninitialized: shape)
        tensor.withMutableElements { elements in
            for index in elements.indices {
                let radius = (-2 * log(1 - Double.random(in: 0..<1, using: &self))).squareRoot()
                let angle = Double.random(in: 0..<2 * .pi, using: &self)
                elements[index] = Float(radius * cos(angle)) * deviation
            }
        }
        return tensor
    }
}

public import SparseAttention

/// Adam with decoupled weight decay.
///
/// Source: Loshchilov and Hutter 2019, algorithm 2; the order of operations is that of `torch.optim.AdamW`.
public struct AdamW: Sendable {
    /// What does not change from step to step.
    public struct Settings: Equatable, Sendable, Codable {
        /// The decay of the first moment.
        public var beta1: Float
        /// The decay of the second moment.
        public var beta2: Float
        /// Added to the root of the corrected second moment.
        public var epsilon: Float
        /// What parameters lose a step, as a share of the learning rate.
        public var weightDecay: Float

        /// The settings of DeepSeek-V3's pre-training unless given.
        public init(beta1: Float = 0.9, beta2: Float = 0.95, epsilon: Float = 1e-8, weightDecay: Float = 0.1)
        {
            self.beta1 = beta1
            self.beta2 = beta2
            self.epsilon = epsilon
            self.weightDecay = weightDecay
        }
    }

    /// What does not change from step to step.
    public let settings: Settings
    /// The steps done.
    public private(set) var step = 0
    /// The running mean of each parameter's gradient.
    public private(set) var firstMoments: [String: Tensor] = [:]
    /// The running mean of its square.
    public private(set) var secondMoments: [String: Tensor] = [:]

    /// An optimizer that has not seen a gradient.
    public init(_ settings: Settings = Settings()) {
        self.settings = settings
    }

    /// An optimizer that goes on from a stored state.
    public init(
        _ settings: Settings,
        step: Int,
        firstMoments: [String: Tensor],
        secondMoments: [String: Tensor]
    ) {
        self.settings = settings
        self.step = step
        self.firstMoments = firstMoments
        self.secondMoments = secondMoments
    }

    /// Moves every parameter that has a gradient.
    ///
    /// - Parameters:
    ///   - parameters: changed in place.
    ///   - gradients: of some of the parameters, under their names.
    ///   - learningRate: of this step.
    public mutating func update(
        _ parameters: inout ParameterSet,
        by gradients: ParameterSet,
        learningRate: Float
    ) {
        step += 1
        let correction1 = 1 - power(settings.beta1, step)
        let correction2 = 1 - power(settings.beta2, step)
        for name in gradients.names {
            let gradient = gradients[name]
            var first = firstMoments.removeValue(forKey: name) ?? Tensor(repeating: 0, shape: gradient.shape)
            var second =
                secondMoments.removeValue(forKey: name) ?? Tensor(repeating: 0, shape: gradient.shape)
            parameters.mutate(name) { parameter in
                parameter.withMutableElements { parameter in
                    first.withMutableElements { first in
                        second.withMutableElements { second in
                            gradient.withElements { gradient in
                                let rate = Float(Double(learningRate) / correction1)
                                let root = Float(correction2.squareRoot())
                                let kept = 1 - learningRate * settings.weightDecay
                                for index in gradient.indices {
                                    let g = gradient[index]
                                    first[index] += (g - first[index]) * (1 - settings.beta1)
                                    second[index] =
                                        second[index] * settings.beta2 + g * g * (1 - settings.beta2)
                                    let denominator = second[index].squareRoot() / root + settings.epsilon
                                    parameter[index] =
                                        parameter[index] * kept - rate * first[index] / denominator
                                }
                            }
                        }
                    }
                }
            }
            firstMoments[name] = first
            secondMoments[name] = second
        }
    }

    private func power(_ base: Float, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1.0) { power, _ in power * Double(base) }
    }
}

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
    ///   - workers: the threads to use.
    ///   - learningRate: of this step, for a parameter of a name.
    public mutating func update(
        _ parameters: inout ParameterSet,
        by gradients: ParameterSet,
        workers: Workers = .all,
        learningRate: (String) -> Float
    ) {
        step += 1
        let corrections = (1 - power(settings.beta1, step), 1 - power(settings.beta2, step))
        for name in gradients.names {
            let gradient = gradients[name]
            // Taken out, so that each owns its memory alone.
            var first = firstMoments.removeValue(forKey: name) ?? Tensor(shape: gradient.shape)
            var second = secondMoments.removeValue(forKey: name) ?? Tensor(shape: gradient.shape)
            let rule = Rule(settings: settings, learningRate: learningRate(name), corrections: corrections)
            parameters.mutate(name) { parameter in
                lend(mutable: &parameter, &first, &second) { parameter, first, second in
                    gradient.withMatrix { gradient in
                        workers.run(count: gradient.rows * gradient.columns, tile: Self.tile) { range in
                            rule.apply(range, parameter.base, first.base, second.base, gradient.base)
                        }
                    }
                }
            }
            firstMoments[name] = first
            secondMoments[name] = second
        }
    }

    /// Numbers of one tile of work.
    private static let tile = 1 << 14

    /// What a step does to each number.
    private struct Rule: Sendable {
        private let settings: Settings
        private let rate: Float
        private let root: Float
        private let kept: Float

        init(settings: Settings, learningRate: Float, corrections: (Double, Double)) {
            self.settings = settings
            rate = Float(Double(learningRate) / corrections.0)
            root = Float(corrections.1.squareRoot())
            kept = 1 - learningRate * settings.weightDecay
        }

        func apply(
            _ range: Range<Int>,
            _ parameter: UnsafeMutablePointer<Float>,
            _ first: UnsafeMutablePointer<Float>,
            _ second: UnsafeMutablePointer<Float>,
            _ gradient: UnsafePointer<Float>
        ) {
            for index in range {
                let g = gradient[index]
                first[index] += (g - first[index]) * (1 - settings.beta1)
                second[index] = second[index] * settings.beta2 + g * g * (1 - settings.beta2)
                let denominator = second[index].squareRoot() / root + settings.epsilon
                parameter[index] = parameter[index] * kept - rate * first[index] / denominator
            }
        }
    }

    private func power(_ base: Float, _ exponent: Int) -> Double {
        (0..<exponent).reduce(1.0) { power, _ in power * Double(base) }
    }
}

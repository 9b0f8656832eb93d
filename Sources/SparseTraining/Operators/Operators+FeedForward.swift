import Foundation
public import SparseAttention

extension Operators {
    /// A gated feed-forward network, `y = (a · silu(x · gateᵀ) · (x · upᵀ)) · downᵀ`, with a weight `a` a row for experts.
    public enum FeedForward {
        /// The weights of one network.
        public struct Weights: Sendable {
            /// `[feedForwardDim, hiddenDim]`.
            public var gate: Tensor
            /// `[feedForwardDim, hiddenDim]`.
            public var up: Tensor
            /// `[hiddenDim, feedForwardDim]`.
            public var down: Tensor

            /// Three weights, or their gradients.
            public init(gate: Tensor, up: Tensor, down: Tensor) {
                self.gate = gate
                self.up = up
                self.down = down
            }
        }

        /// What `backward` needs of a forward pass.
        public struct Trace: Sendable {
            let input: Tensor  // [n, hiddenDim]
            let gate: Tensor  // [n, feedForwardDim]
            let up: Tensor  // [n, feedForwardDim]
            let rowWeights: [Float]?  // [n]
        }

        /// The gradients of `backward`.
        public struct Gradients: Sendable {
            /// `[n, hiddenDim]`.
            public let input: Tensor
            /// Those of the three weights.
            public let weights: Weights
            /// Those of the rows' weights, `[n]`; empty where there were none.
            public let rowWeights: [Float]
        }

        /// Runs the network.
        ///
        /// - Parameters:
        ///   - input: `[n, hiddenDim]`.
        ///   - weights: those of the network.
        ///   - rowWeights: what each row of the result is multiplied by, `[n]`; nil for 1.
        ///   - workers: the threads to use.
        /// - Returns: `[n, hiddenDim]`, and what `backward` needs.
        public static func forward(
            _ input: Tensor,
            _ weights: Weights,
            rowWeights: [Float]? = nil,
            workers: Workers = .all
        ) -> (output: Tensor, trace: Trace) {
            let trace = Trace(
                input: input,
                gate: Linear.forward(input, weights.gate, workers: workers),
                up: Linear.forward(input, weights.up, workers: workers),
                rowWeights: rowWeights
            )
            return (
                Linear.forward(activations(trace, workers: workers), weights.down, workers: workers), trace
            )
        }

        /// The gradients of input, weights and rows' weights.
        ///
        /// - Parameters:
        ///   - gradient: that of the output, `[n, hiddenDim]`.
        ///   - trace: of the forward pass.
        ///   - weights: as the forward pass had them.
        ///   - workers: the threads to use.
        /// - Returns: the gradients.
        public static func backward(
            _ gradient: Tensor,
            _ trace: Trace,
            _ weights: Weights,
            workers: Workers = .all
        ) -> Gradients {
            let activations = activations(trace, workers: workers)
            let down = Linear.weightGradient(gradient, input: activations, workers: workers)
            var (gate, up) = (trace.gate, trace.up)
            var inner = Linear.inputGradient(gradient, weight: weights.down, workers: workers)
            var rowGradients = Tensor(repeating: 0, shape: [trace.rowWeights?.count ?? 0])
            rowGradients.withMutableMatrix { rowGradients in
                inner.withMutableMatrix { inner in
                    gate.withMutableMatrix { gate in
                        up.withMutableMatrix { up in
                            workers.run(count: inner.rows, tile: tileRows) { rows in
                                for row in rows {
                                    let sum = gated(
                                        inner[row],
                                        gate: gate[row],
                                        up: up[row],
                                        weight: trace.rowWeights?[row] ?? 1,
                                        count: inner.columns
                                    )
                                    if trace.rowWeights != nil { rowGradients.base[row] = sum }
                                }
                            }
                        }
                    }
                }
            }
            var input = Linear.inputGradient(gate, weight: weights.gate, workers: workers)
            input.add(Linear.inputGradient(up, weight: weights.up, workers: workers))
            return Gradients(
                input: input,
                weights: Weights(
                    gate: Linear.weightGradient(gate, input: trace.input, workers: workers),
                    up: Linear.weightGradient(up, input: trace.input, workers: workers),
                    down: down
                ),
                rowWeights: trace.rowWeights == nil ? [] : rowGradients.elements
            )
        }

        /// `a · silu(gate) · up`, `[n, feedForwardDim]`.
        private static func activations(_ trace: Trace, workers: Workers) -> Tensor {
            var product = Tensor(uninitialized: trace.gate.shape)
            product.withMutableMatrix { product in
                trace.gate.withMatrix { gate in
                    trace.up.withMatrix { up in
                        workers.run(count: product.rows, tile: tileRows) { rows in
                            for row in rows {
                                Kernels.gatedProduct(
                                    gate: gate[row],
                                    up: up[row],
                                    into: product[row],
                                    count: product.columns
                                )
                                if let weight = trace.rowWeights?[row] {
                                    Kernels.scale(product[row], by: weight, count: product.columns)
                                }
                            }
                        }
                    }
                }
            }
            return product
        }

        /// Replaces one row's gate and up by their gradients; returns the gradient of the row's weight.
        ///
        /// With `s` the sigmoid of the gate: `silu' = s (1 + gate (1 − s))`.
        private static func gated(
            _ gradient: UnsafeMutablePointer<Float>,
            gate: UnsafeMutablePointer<Float>,
            up: UnsafeMutablePointer<Float>,
            weight: Float,
            count: Int
        ) -> Float {
            var sum: Float = 0
            for column in 0..<count {
                let (g, u, d) = (gate[column], up[column], gradient[column])
                let sigmoid = 1 / (1 + exp(-g))
                let silu = g * sigmoid
                sum += d * silu * u
                gate[column] = d * weight * u * sigmoid * (1 + g * (1 - sigmoid))
                up[column] = d * weight * silu
            }
            return sum
        }
    }
}

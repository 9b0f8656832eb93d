public import SparseAttention

extension Operators {
    /// A linear layer without bias: `y = x · weightᵀ`.
    public enum Linear {
        /// Outputs, or rows of a weight's gradient, in one tile of work.
        private static let tile = 64
        /// Rows of the input's gradient in one tile of work.
        private static let inputTile = 128

        /// `x · weightᵀ`.
        ///
        /// - Parameters:
        ///   - input: `[n, columns]`.
        ///   - weight: `[rows, columns]`.
        ///   - workers: the threads to use.
        /// - Returns: `[n, rows]`.
        public static func forward(_ input: Tensor, _ weight: Tensor, workers: Workers = .all) -> Tensor {
            let (rows, inputs) = (weight.shape[0], input.shape.rows)
            var output = Tensor(uninitialized: [inputs, rows])
            output.withMutableMatrix { output in
                input.withMatrix { input in
                    weight.withMatrix { weight in
                        workers.run(count: inputs, tile: inputTile) { range in
                            BLAS.multiply(input.rows(range), transposed: weight, into: output.rows(range))
                        }
                    }
                }
            }
            return output
        }

        /// The gradients of input and weight.
        ///
        /// - Parameters:
        ///   - gradient: that of the output, `[n, rows]`.
        ///   - input: as `forward` had it, `[n, columns]`.
        ///   - weight: `[rows, columns]`.
        ///   - workers: the threads to use.
        /// - Returns: `gradient · weight`, `[n, columns]`, and `gradientᵀ · input`, `[rows, columns]`.
        public static func backward(
            _ gradient: Tensor,
            input: Tensor,
            weight: Tensor,
            workers: Workers = .all
        ) -> (input: Tensor, weight: Tensor) {
            (
                inputGradient(gradient, weight: weight, workers: workers),
                weightGradient(gradient, input: input, workers: workers)
            )
        }

        /// `gradient · weight`, `[n, columns]`.
        static func inputGradient(_ gradient: Tensor, weight: Tensor, workers: Workers) -> Tensor {
            var output = Tensor(uninitialized: [gradient.shape.rows, weight.shape[1]])
            output.withMutableMatrix { output in
                gradient.withMatrix { gradient in
                    weight.withMatrix { weight in
                        workers.run(count: gradient.rows, tile: inputTile) { range in
                            BLAS.multiply(gradient.rows(range), weight, into: output.rows(range))
                        }
                    }
                }
            }
            return output
        }

        /// `gradientᵀ · input`, `[rows, columns]`.
        static func weightGradient(_ gradient: Tensor, input: Tensor, workers: Workers) -> Tensor {
            var output = Tensor(uninitialized: [gradient.shape.columns, input.shape.columns])
            output.withMutableMatrix { output in
                gradient.withMatrix { gradient in
                    input.withMatrix { input in
                        workers.run(count: output.rows, tile: tile) { range in
                            BLAS.multiply(
                                transposed: gradient.columns(range),
                                input,
                                into: output.rows(range)
                            )
                        }
                    }
                }
            }
            return output
        }
    }
}

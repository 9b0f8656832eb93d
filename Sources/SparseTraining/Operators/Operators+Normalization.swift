public import SparseAttention

extension Operators {
    /// Root-mean-square normalisation, `y = weight · x · r` with `r = (mean(x²) + epsilon)^-½`.
    public enum RootMeanSquareNorm {
        /// The gradients of input and weight.
        ///
        /// With `g = gradient · weight`: `dx = r g − x r³ mean(g x)`, `dweight = Σ gradient · x · r`.
        ///
        /// - Parameters:
        ///   - gradient: that of the output, `[n, columns]`.
        ///   - input: what was normalised, `[n, columns]`.
        ///   - norm: the normalisation; its call is the forward pass.
        ///   - workers: the threads to use.
        /// - Returns: `[n, columns]` and `[columns]`.
        public static func backward(
            _ gradient: Tensor,
            input: Tensor,
            norm: RMSNorm,
            workers: Workers = .all
        ) -> (input: Tensor, weight: Tensor) {
            let columns = norm.weight.count
            var inputGradient = Tensor(uninitialized: input.shape)
            var factors = Tensor(uninitialized: [input.shape.rows])
            factors.withMutableMatrix { factors in
                inputGradient.withMutableMatrix { output in
                    gradient.withMatrix { gradient in
                        input.withMatrix { input in
                            norm.weight.withMatrix { weight in
                                workers.run(count: input.rows, tile: tileRows) { rows in
                                    for row in rows {
                                        let (x, dy, dx) = (input[row], gradient[row], output[row])
                                        let square = Kernels.dot(x, x, count: columns) / Float(columns)
                                        let factor = 1 / (square + norm.epsilon).squareRoot()
                                        for column in 0..<columns {
                                            dx[column] = dy[column] * weight.base[column]
                                        }
                                        let mean = Kernels.dot(dx, x, count: columns) / Float(columns)
                                        Kernels.scale(dx, by: factor, count: columns)
                                        let correction = -factor * factor * factor * mean
                                        Kernels.add(x, times: correction, to: dx, count: columns)
                                        factors.base[row] = factor
                                    }
                                }
                            }
                        }
                    }
                }
            }
            return (inputGradient, columnSums(of: gradient, times: input, rowFactors: factors))
        }
    }

    /// Layer normalisation, `y = weight · z + bias` with `z = (x − mean(x)) · r`, `r = (variance(x) + epsilon)^-½`.
    public enum CenteredNorm {
        /// The gradients of input, weight and bias.
        ///
        /// With `g = gradient · weight`: `dx = r (g − mean(g) − z mean(g z))`, `dweight = Σ gradient · z`,
        /// `dbias = Σ gradient`.
        ///
        /// - Parameters:
        ///   - gradient: that of the output, `[n, columns]`.
        ///   - input: what was normalised, `[n, columns]`.
        ///   - norm: the normalisation; its call is the forward pass.
        /// - Returns: `[n, columns]`, `[columns]` and `[columns]`.
        public static func backward(
            _ gradient: Tensor,
            input: Tensor,
            norm: LayerNorm
        ) -> (input: Tensor, weight: Tensor, bias: Tensor) {
            let columns = norm.weight.count
            var inputGradient = Tensor(uninitialized: input.shape)
            var normalised = input
            normalised.withMutableMatrix { normalised in
                inputGradient.withMutableMatrix { output in
                    gradient.withMatrix { gradient in
                        norm.weight.withMatrix { weight in
                            for row in 0..<normalised.rows {
                                let (z, dy, dx) = (normalised[row], gradient[row], output[row])
                                let mean = sum(z, columns) / Float(columns)
                                for column in 0..<columns {
                                    z[column] -= mean
                                    dx[column] = dy[column] * weight.base[column]
                                }
                                let variance = Kernels.dot(z, z, count: columns) / Float(columns)
                                let factor = 1 / (variance + norm.epsilon).squareRoot()
                                Kernels.scale(z, by: factor, count: columns)
                                let gradientMean = sum(dx, columns) / Float(columns)
                                let slope = Kernels.dot(dx, z, count: columns) / Float(columns)
                                for column in 0..<columns {
                                    dx[column] = factor * (dx[column] - gradientMean - z[column] * slope)
                                }
                            }
                        }
                    }
                }
            }
            let ones = Tensor(repeating: 1, shape: [input.shape.rows])
            return (
                inputGradient, columnSums(of: gradient, times: normalised, rowFactors: ones),
                columnSums(of: gradient)
            )
        }

        private static func sum(_ row: UnsafePointer<Float>, _ columns: Int) -> Float {
            var sum: Float = 0
            for column in 0..<columns {
                sum += row[column]
            }
            return sum
        }

        private static func sum(_ row: UnsafeMutablePointer<Float>, _ columns: Int) -> Float {
            sum(UnsafePointer(row), columns)
        }
    }

    /// The sum over rows of `a · b`, each row times its factor, `[columns]`.
    private static func columnSums(of a: Tensor, times b: Tensor, rowFactors: Tensor) -> Tensor {
        var sums = [Double](repeating: 0, count: a.shape.columns)
        a.withMatrix { a in
            b.withMatrix { b in
                for row in 0..<a.rows {
                    let (left, right, factor) = (a[row], b[row], rowFactors[row])
                    for column in 0..<a.columns {
                        sums[column] += Double(left[column] * right[column] * factor)
                    }
                }
            }
        }
        return Tensor(trusted: sums)
    }

    /// The sum over rows, `[columns]`.
    private static func columnSums(of a: Tensor) -> Tensor {
        var sums = [Double](repeating: 0, count: a.shape.columns)
        a.withMatrix { a in
            for row in 0..<a.rows {
                let line = a[row]
                for column in 0..<a.columns {
                    sums[column] += Double(line[column])
                }
            }
        }
        return Tensor(trusted: sums)
    }
}

extension Tensor {
    /// A vector of numbers rounded to float32.
    init(trusted numbers: [Double]) {
        self.init(uninitialized: [numbers.count])
        withMutableElements { elements in
            for index in elements.indices {
                elements[index] = Float(numbers[index])
            }
        }
    }
}

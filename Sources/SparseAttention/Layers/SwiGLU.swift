import Foundation

/// The gate of a feed-forward layer: `silu(gate) · up`, `silu(x) = x / (1 + exp(−x))`.
///
/// Source: Shazeer 2020, equation 6.
public enum SwiGLU {
    /// Multiplies the gated with the plain projection, element by element.
    ///
    /// - Parameters:
    ///   - gate: any shape.
    ///   - up: the same shape.
    /// - Returns: a tensor of that shape.
    /// - Throws: `SparseAttentionError.shapeMismatch`.
    public static func apply(gate: Tensor, up: Tensor) throws(SparseAttentionError) -> Tensor {
        guard gate.shape == up.shape else {
            throw .shapeMismatch(argument: "up", expected: gate.shape, found: up.shape)
        }
        var product = Tensor(uninitialized: gate.shape)
        product.withMutableMatrix { product in
            gate.withMatrix { gate in
                up.withMatrix { up in
                    Kernels.gatedProduct(
                        gate: gate.base,
                        up: up.base,
                        into: product.base,
                        count: gate.rows * gate.columns
                    )
                }
            }
        }
        return product
    }

    /// The definition, in `Double`.
    package static func reference(gate: Double, up: Double) -> Double {
        gate / (1 + exp(-gate)) * up
    }
}

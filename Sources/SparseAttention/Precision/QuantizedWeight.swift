/// A weight matrix of E4M3 codes with one scale for each block of 128×128.
///
/// Blocks at the right and lower edge are partial when a dimension is not a multiple of 128.
public struct QuantizedWeight: Equatable, Sendable {
    /// The number of outputs.
    public let rows: Int
    /// The number of inputs.
    public let columns: Int
    /// The codes, `[rows, columns]`.
    public let codes: [UInt8]
    /// The scale of each block, `[⌈rows / 128⌉, ⌈columns / 128⌉]` (`weight_scale_inv` in a checkpoint).
    public let scales: [Float]

    /// Rows and columns of a block.
    public static let blockWidth = 128

    /// A weight from its codes and block scales.
    ///
    /// - Throws: `SparseAttentionError.shapeMismatch` when their numbers do not fit the size.
    public init(rows: Int, columns: Int, codes: [UInt8], scales: [Float]) throws(SparseAttentionError) {
        let codeShape = try Shape([rows, columns])
        let scaleShape = try Shape([tileCount(rows, Self.blockWidth), tileCount(columns, Self.blockWidth)])
        guard codes.count == codeShape.count else {
            throw .shapeMismatch(argument: "codes", expected: codeShape, found: [codes.count])
        }
        guard scales.count == scaleShape.count else {
            throw .shapeMismatch(argument: "scales", expected: scaleShape, found: [scales.count])
        }
        self.rows = rows
        self.columns = columns
        self.codes = codes
        self.scales = scales
    }

    /// The weight in float32: `code[i, j] · scale[i / 128, j / 128]`.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `weight_dequant`, with partial edge blocks.
    public func dequantized() -> Tensor {
        let blockColumns = tileCount(columns, Self.blockWidth)
        var tensor = Tensor(uninitialized: [rows, columns])
        tensor.withMutableElements { elements in
            for row in 0..<rows {
                for column in 0..<columns {
                    let index = row * columns + column
                    let block = row / Self.blockWidth * blockColumns + column / Self.blockWidth
                    elements[index] = Float8E4M3(bitPattern: codes[index]).float * scales[block]
                }
            }
        }
        return tensor
    }

    /// An FP8 linear layer as deployed: quantized inputs, products added up block by block.
    ///
    /// For each block of 128 inputs, ascending: `output += (Σ code · code) · (input scale · weight scale)`.
    ///
    /// - Parameter inputs: `[n, columns]`, quantized in blocks of 128.
    /// - Returns: `[n, rows]`.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the widths differ.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `fp8_gemm`.
    public func apply(to inputs: QuantizedRows) throws(SparseAttentionError) -> Tensor {
        guard inputs.columns == columns else {
            throw .dimensionMismatch(.columns, argument: "inputs", expected: columns, found: inputs.columns)
        }
        let left = inputs.widenedCodes()
        let right = widenedCodes
        let blocks = tileCount(columns, Self.blockWidth)
        var output = Tensor(repeating: 0, shape: [inputs.rows, rows])
        var partial = Tensor(uninitialized: [inputs.rows, rows])
        for block in 0..<blocks {
            let range = block * Self.blockWidth..<min((block + 1) * Self.blockWidth, columns)
            partial.withMutableMatrix { partial in
                left.withMatrix { left in
                    right.withMatrix { right in
                        BLAS.multiply(left.columns(range), transposed: right.columns(range), into: partial)
                    }
                }
            }
            partial.withElements { partial in
                output.withMutableElements { output in
                    for row in 0..<inputs.rows {
                        let inputScale = inputs.scales[row * blocks + block]
                        for column in 0..<rows {
                            let scale = inputScale * scales[column / Self.blockWidth * blocks + block]
                            output[row * rows + column] += partial[row * rows + column] * scale
                        }
                    }
                }
            }
        }
        return output
    }

    private var widenedCodes: Tensor {
        var tensor = Tensor(uninitialized: [rows, columns])
        tensor.withMutableMatrix { output in
            codes.withUnsafeBufferPointer { codes in
                guard let start = codes.baseAddress else { return }
                Kernels.widen(float8: start, into: output.base, count: codes.count)
            }
        }
        return tensor
    }
}

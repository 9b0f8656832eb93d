/// Rows of E4M3 codes in blocks of 128 columns, with one scale a block.
///
/// The last block of a row is shorter when the width is not a multiple of 128.
public struct QuantizedRows: Equatable, Sendable {
    /// The number of rows.
    public let rows: Int
    /// The number of codes in a row.
    public let columns: Int
    /// The codes, `[rows, columns]`.
    public let codes: [UInt8]
    /// What one unit of each block is worth, `[rows, blocks]`.
    public let scales: [Float]

    /// The columns that share a scale.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `block_size`.
    public static let blockColumns = 128

    /// The blocks in a row.
    public var blocks: Int { tileCount(columns, Self.blockColumns) }

    /// Rows whose codes and scales are already known.
    ///
    /// - Throws: `SparseAttentionError.shapeMismatch` when their numbers do not fit the size.
    public init(rows: Int, columns: Int, codes: [UInt8], scales: [Float]) throws(SparseAttentionError) {
        let codeShape = try Shape([rows, columns])
        let scaleShape = try Shape([rows, tileCount(columns, Self.blockColumns)])
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

    /// Quantizes every row block by block: `code = E4M3(clamp(x / scale))`.
    ///
    /// - Parameters:
    ///   - tensor: `[…, columns]`, finite; all dimensions but the last count as rows.
    ///   - format: how scales are rounded.
    /// - Throws: `SparseAttentionError.nonFinite` when an element is NaN or infinite.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `act_quant`.
    public init(quantizing tensor: Tensor, format: ScaleFormat) throws(SparseAttentionError) {
        if let index = tensor.firstNonFinite { throw .nonFinite(argument: "tensor", index: index) }
        rows = tensor.shape.rows
        columns = tensor.shape.columns
        let width = columns
        let blocks = tileCount(columns, Self.blockColumns)
        var scales = [Float](repeating: 0, count: rows * blocks)
        var codes = [UInt8](repeating: 0, count: rows * columns)
        tensor.withElements { elements in
            for row in 0..<tensor.shape.rows {
                for block in 0..<blocks {
                    let start = row * width + block * Self.blockColumns
                    let end = min(start + Self.blockColumns, (row + 1) * width)
                    var largest: Float = 0
                    for index in start..<end {
                        largest = max(largest, elements[index].magnitude)
                    }
                    let scale = format.scale(forLargest: largest)
                    scales[row * blocks + block] = scale
                    for index in start..<end {
                        codes[index] = Float8E4M3(elements[index] / scale).bitPattern
                    }
                }
            }
        }
        self.scales = scales
        self.codes = codes
    }

    /// The values the codes stand for, `code · scale`, `[rows, columns]`.
    public func dequantized() -> Tensor {
        var tensor = widenedCodes()
        tensor.withMutableElements { elements in
            for row in 0..<rows {
                for column in 0..<columns {
                    elements[row * columns + column] *= scales[row * blocks + column / Self.blockColumns]
                }
            }
        }
        return tensor
    }

    /// The codes as numbers, without their scales, `[rows, columns]`.
    package func widenedCodes() -> Tensor {
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

extension Tensor {
    /// Every element after a trip through FP8 and back: quantized in blocks of 128 columns, times the scale.
    ///
    /// - Throws: `SparseAttentionError.nonFinite` when an element is NaN or infinite.
    public func roundedThroughFloat8(format: ScaleFormat) throws(SparseAttentionError) -> Tensor {
        try QuantizedRows(quantizing: self, format: format).dequantized().reshaped(shape)
    }

    /// Every element rounded to bfloat16, nearest, ties to even.
    public func roundedToBFloat16() -> Tensor {
        var rounded = self
        rounded.withMutableElements { elements in
            for index in elements.indices {
                elements[index] = BFloat16(elements[index]).float
            }
        }
        return rounded
    }
}

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
        let blocks = tileCount(columns, Self.blockColumns)
        var scales = [Float](repeating: 0, count: rows * blocks)
        var codes = [UInt8](repeating: 0, count: rows * columns)
        var scaled = tensor
        scaled.withMutableMatrix { scaled in
            for row in 0..<scaled.rows {
                for block in 0..<blocks {
                    let start = block * Self.blockColumns
                    let count = min(Self.blockColumns, scaled.columns - start)
                    scales[row * blocks + block] = format.divideByScale(scaled[row] + start, count: count)
                }
            }
            codes.withUnsafeMutableBufferPointer { codes in
                guard let target = codes.baseAddress else { return }
                Kernels.round(UnsafePointer(scaled.base), toFloat8: target, count: codes.count)
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

extension ScaleFormat {
    /// Divides a block by its scale, so that it is ready to become codes.
    ///
    /// - Returns: the scale.
    fileprivate func divideByScale(_ block: UnsafeMutablePointer<Float>, count: Int) -> Float {
        // Bit patterns order as magnitudes do, and their maximum takes no order of its own: a vector's worth at once.
        var largest: UInt32 = 0
        for column in 0..<count {
            largest = max(largest, block[column].magnitude.bitPattern)
        }
        let scale = scale(forLargest: Float(bitPattern: largest))
        for column in 0..<count {
            block[column] /= scale
        }
        return scale
    }
}

extension MutableMatrixView {
    /// Every element after a trip through FP8 and back, in blocks of 128 columns; elements are finite.
    func roundThroughFloat8(format: ScaleFormat) {
        withUnsafeTemporaryAllocation(of: UInt8.self, capacity: QuantizedRows.blockColumns) { codes in
            guard let start = codes.baseAddress else { return }
            for row in 0..<rows {
                for column in Swift.stride(from: 0, to: columns, by: QuantizedRows.blockColumns) {
                    let count = min(QuantizedRows.blockColumns, columns - column)
                    let block = self[row] + column
                    let scale = format.divideByScale(block, count: count)
                    Kernels.round(UnsafePointer(block), toFloat8: start, count: count)
                    Kernels.widen(float8: UnsafePointer(start), into: block, count: count)
                    Kernels.scale(block, by: scale, count: count)
                }
            }
        }
    }
}

extension Tensor {
    /// Every element after a trip through FP8 and back: quantized in blocks of 128 columns, times the scale.
    ///
    /// - Throws: `SparseAttentionError.nonFinite` when an element is NaN or infinite.
    public func roundedThroughFloat8(format: ScaleFormat) throws(SparseAttentionError) -> Tensor {
        if let index = firstNonFinite { throw .nonFinite(argument: "tensor", index: index) }
        var rounded = self
        rounded.withMutableMatrix { $0.roundThroughFloat8(format: format) }
        return rounded
    }

    /// Every element rounded to bfloat16, nearest, ties to even.
    public func roundedToBFloat16() -> Tensor {
        var rounded = self
        rounded.withMutableMatrix { matrix in
            for row in 0..<matrix.rows {
                Kernels.roundToBFloat16(matrix[row], count: matrix.columns)
            }
        }
        return rounded
    }

    /// Every element rounded as a format stores it.
    public func rounded(to format: StorageFormat) -> Tensor {
        format == .bfloat16 ? roundedToBFloat16() : self
    }
}

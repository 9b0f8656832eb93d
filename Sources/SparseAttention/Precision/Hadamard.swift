extension Tensor {
    /// The Walsh–Hadamard rotation of every row: Sylvester order, times `columns^-½`.
    ///
    /// Butterflies in float32, so that a rotation of bfloat16 rows differs from the exact one by less than one
    /// bfloat16 rounding. The rotation is its own inverse and keeps dot products.
    ///
    /// - Returns: a tensor of the same shape.
    /// - Throws: `SparseAttentionError.invalidSetting` unless the last dimension is a power of two.
    ///
    /// Source: V3.2-Exp `inference/model.py`, `rotate_activation`.
    public func hadamardRotated() throws(SparseAttentionError) -> Tensor {
        let width = shape.columns
        guard width > 0, width & (width - 1) == 0 else {
            throw .invalidSetting(name: "columns", found: "\(width)", expected: "a power of two")
        }
        let factor = 1 / Float(width).squareRoot()
        var rotated = self
        rotated.withMutableMatrix { matrix in
            for row in 0..<matrix.rows {
                Self.rotate(matrix[row], width: width, factor: factor)
            }
        }
        return rotated
    }

    /// Pointers, because a chunk of queries takes seven passes over all of its elements.
    private static func rotate(_ row: UnsafeMutablePointer<Float>, width: Int, factor: Float) {
        var half = 1
        while half < width {
            for block in stride(from: 0, to: width, by: 2 * half) {
                let (low, high) = (row + block, row + block + half)
                for index in 0..<half {
                    let (a, b) = (low[index], high[index])
                    low[index] = a + b
                    high[index] = a - b
                }
            }
            half *= 2
        }
        for index in 0..<width {
            row[index] *= factor
        }
    }
}

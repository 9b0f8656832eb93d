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
        rotated.withMutableElements { elements in
            for start in stride(from: 0, to: elements.count, by: width) {
                var half = 1
                while half < width {
                    for block in stride(from: start, to: start + width, by: 2 * half) {
                        for index in block..<block + half {
                            let (a, b) = (elements[index], elements[index + half])
                            elements[index] = a + b
                            elements[index + half] = a - b
                        }
                    }
                    half *= 2
                }
                for index in start..<start + width {
                    elements[index] *= factor
                }
            }
        }
        return rotated
    }
}

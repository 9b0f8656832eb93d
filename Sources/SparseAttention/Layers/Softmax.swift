import Foundation

/// The softmax of a row: `exp(x) / Σ exp(x)`.
public enum Softmax {
    /// Replaces every row by its softmax.
    ///
    /// - Parameters:
    ///   - rows: `[…, columns]`; −infinity hides a column.
    ///   - scale: what elements are multiplied by first, positive.
    /// - Returns: a tensor of the same shape; zeros where a whole row is hidden, NaN where a row holds one.
    /// - Throws: `SparseAttentionError.invalidSetting` for a scale that is not positive.
    public static func apply(_ rows: Tensor, scale: Float = 1) throws(SparseAttentionError) -> Tensor {
        try requirePositive(scale)
        var output = rows
        output.withMutableMatrix { output in
            for row in 0..<output.rows {
                let line = output[row]
                let largest = scale * Kernels.maximum(line, count: output.columns)
                if largest == -.infinity {
                    line.update(repeating: 0, count: output.columns)
                } else {
                    let sum = Kernels.exponentiate(line, scale: scale, shift: largest, count: output.columns)
                    Kernels.scale(line, by: 1 / sum, count: output.columns)
                }
            }
        }
        return output
    }

    /// The definition for one row, in `Double`.
    package static func reference(_ row: [Double]) -> [Double] {
        guard let largest = row.max(), largest > -.infinity else { return row.map { _ in 0 } }
        let weights = row.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }
}

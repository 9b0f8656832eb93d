/// Root-mean-square normalisation: `weight · x / √(mean(x²) + epsilon)`.
///
/// Source: Zhang and Sennrich 2019, equation 4.
public struct RMSNorm: Sendable {
    /// The gain of each column, `[columns]`.
    public let weight: Tensor
    /// Added to the mean square.
    public let epsilon: Float

    /// A normalisation with the given gains.
    ///
    /// - Parameters:
    ///   - weight: `[columns]`, what each column is multiplied by.
    ///   - epsilon: added to the mean square.
    public init(weight: Tensor, epsilon: Float) {
        self.weight = weight
        self.epsilon = epsilon
    }

    /// Normalises every row.
    ///
    /// - Parameter rows: `[…, columns]`.
    /// - Returns: a tensor of the same shape.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the width is not that of the weight.
    public func callAsFunction(_ rows: Tensor) throws(SparseAttentionError) -> Tensor {
        try requireColumns(weight.count, of: rows)
        let columns = weight.count
        var output = Tensor(uninitialized: rows.shape)
        output.withMutableMatrix { output in
            rows.withMatrix { rows in
                weight.withMatrix { weight in
                    for row in 0..<rows.rows {
                        let (source, target) = (rows[row], output[row])
                        let meanSquare = Kernels.dot(source, source, count: columns) / Float(columns)
                        let factor = 1 / (meanSquare + epsilon).squareRoot()
                        for column in 0..<columns {
                            target[column] = weight.base[column] * (source[column] * factor)
                        }
                    }
                }
            }
        }
        return output
    }

    /// The definition, in `Double`.
    package func reference(_ rows: Tensor) -> [Double] {
        normalized(rows) { row in
            let meanSquare = row.reduce(0) { $0 + $1 * $1 } / Double(row.count)
            let factor = 1 / (meanSquare + Double(epsilon)).squareRoot()
            return row.enumerated().map { Double(weight[$0]) * $1 * factor }
        }
    }
}

/// Layer normalisation: `weight · (x − mean(x)) / √(variance(x) + epsilon) + bias`, biased variance.
///
/// Source: Ba et al. 2016, equation 4.
public struct LayerNorm: Sendable {
    /// The gain of each column, `[columns]`.
    public let weight: Tensor
    /// Added to each column, `[columns]`.
    public let bias: Tensor
    /// Added to the variance.
    public let epsilon: Float

    /// A normalisation with the given gains and offsets.
    ///
    /// - Parameters:
    ///   - weight: `[columns]`, what each column is multiplied by.
    ///   - bias: `[columns]`, what is added to each afterwards.
    ///   - epsilon: added to the variance.
    /// - Throws: `SparseAttentionError.shapeMismatch` when the two have different shapes.
    public init(weight: Tensor, bias: Tensor, epsilon: Float) throws(SparseAttentionError) {
        guard bias.shape == weight.shape else {
            throw .shapeMismatch(argument: "bias", expected: weight.shape, found: bias.shape)
        }
        self.weight = weight
        self.bias = bias
        self.epsilon = epsilon
    }

    /// Normalises every row.
    ///
    /// - Parameter rows: `[…, columns]`.
    /// - Returns: a tensor of the same shape.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the width is not that of the weight.
    public func callAsFunction(_ rows: Tensor) throws(SparseAttentionError) -> Tensor {
        try requireColumns(weight.count, of: rows)
        let columns = weight.count
        var output = rows
        output.withMutableMatrix { output in
            weight.withMatrix { weight in
                bias.withMatrix { bias in
                    for row in 0..<output.rows {
                        let line = output[row]
                        var sum: Float = 0
                        for column in 0..<columns {
                            sum += line[column]
                        }
                        let mean = sum / Float(columns)
                        for column in 0..<columns {
                            line[column] -= mean
                        }
                        let variance = Kernels.dot(line, line, count: columns) / Float(columns)
                        let factor = 1 / (variance + epsilon).squareRoot()
                        for column in 0..<columns {
                            line[column] = line[column] * factor * weight.base[column] + bias.base[column]
                        }
                    }
                }
            }
        }
        return output
    }

    /// The definition, in `Double`.
    package func reference(_ rows: Tensor) -> [Double] {
        normalized(rows) { row in
            let mean = row.reduce(0, +) / Double(row.count)
            let variance = row.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / Double(row.count)
            let factor = 1 / (variance + Double(epsilon)).squareRoot()
            return row.enumerated().map { ($1 - mean) * factor * Double(weight[$0]) + Double(bias[$0]) }
        }
    }
}

/// Refuses rows of another width.
private func requireColumns(_ columns: Int, of rows: Tensor) throws(SparseAttentionError) {
    guard rows.shape.columns == columns, rows.shape.rank > 0 else {
        throw .dimensionMismatch(.columns, argument: "rows", expected: columns, found: rows.shape.columns)
    }
}

private func normalized(_ rows: Tensor, _ body: ([Double]) -> [Double]) -> [Double] {
    let (elements, columns) = (rows.elements, rows.shape.columns)
    return stride(from: 0, to: elements.count, by: max(columns, 1)).flatMap { start in
        body(elements[start..<start + columns].map(Double.init))
    }
}

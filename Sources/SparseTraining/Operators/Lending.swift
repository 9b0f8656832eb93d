import SparseAttention

/// Lends two tensors as matrices: the last dimension gives the columns, all others the rows.
func lend<Result>(_ a: Tensor, _ b: Tensor, to body: (MatrixView, MatrixView) -> Result) -> Result {
    a.withMatrix { a in b.withMatrix { body(a, $0) } }
}

/// Lends three tensors as matrices.
func lend<Result>(
    _ a: Tensor,
    _ b: Tensor,
    _ c: Tensor,
    to body: (MatrixView, MatrixView, MatrixView) -> Result
) -> Result {
    lend(a, b) { a, b in c.withMatrix { body(a, b, $0) } }
}

/// Lends two tensors as matrices to write into.
func lend<Result>(
    mutable a: inout Tensor,
    _ b: inout Tensor,
    to body: (MutableMatrixView, MutableMatrixView) -> Result
) -> Result {
    a.withMutableMatrix { a in b.withMutableMatrix { body(a, $0) } }
}

/// Lends three tensors as matrices to write into.
func lend<Result>(
    mutable a: inout Tensor,
    _ b: inout Tensor,
    _ c: inout Tensor,
    to body: (MutableMatrixView, MutableMatrixView, MutableMatrixView) -> Result
) -> Result {
    lend(mutable: &a, &b) { a, b in c.withMutableMatrix { body(a, b, $0) } }
}

extension Tensor {
    /// Some of the rows as a tensor that shares memory, `[range, columns]`.
    ///
    /// - Precondition: the range lies inside the rows.
    func rows(_ range: Range<Int>) -> Tensor {
        guard let matrix = try? reshaped([shape.rows, shape.columns]), let rows = try? matrix.slice(range)
        else {
            preconditionFailure("rows \(range) of \(shape)")
        }
        return rows
    }

    /// Overwrites some of the rows.
    mutating func setRows(_ range: Range<Int>, to rows: Tensor) {
        withMutableMatrix { matrix in rows.withMatrix { matrix.rows(range).copy(from: $0) } }
    }

    /// The same numbers under a shape that is known to fit.
    func shaped(_ shape: Shape) -> Tensor {
        guard let tensor = try? reshaped(shape) else { preconditionFailure("\(self.shape) as \(shape)") }
        return tensor
    }

    /// Adds a matrix to some of the columns.
    mutating func add(_ part: Tensor, toColumns start: Int) {
        withMutableMatrix { matrix in
            part.withMatrix { part in
                for row in 0..<matrix.rows {
                    Kernels.add(part[row], times: 1, to: matrix[row] + start, count: part.columns)
                }
            }
        }
    }

    /// A tensor with other columns behind each row's own.
    func joined(with other: Tensor) -> Tensor {
        var joined = Tensor(uninitialized: [shape.rows, shape.columns + other.shape.columns])
        let own = shape.columns
        joined.withMutableMatrix { joined in
            lend(self, other) { left, right in
                joined.columns(0..<own).copy(from: left)
                joined.columns(own..<joined.columns).copy(from: right)
            }
        }
        return joined
    }
}

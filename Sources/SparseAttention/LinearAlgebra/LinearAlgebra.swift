import CLAPACKE

/// Products and decompositions of whole matrices.
public enum LinearAlgebra {
    /// Rows of the left factor in one tile of work.
    private static let tileRows = 128

    /// The product `left · right`.
    ///
    /// - Parameters:
    ///   - left: `[n, k]`.
    ///   - right: `[k, m]`.
    ///   - workers: the threads to use.
    /// - Returns: `[n, m]`.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the factors do not fit together.
    public static func multiply(
        _ left: Tensor,
        _ right: Tensor,
        workers: Workers = .all
    ) throws(SparseAttentionError) -> Tensor {
        try requireRank(2, of: left, named: "left")
        try requireRank(2, of: right, named: "right")
        guard left.shape[1] == right.shape[0] else {
            throw .dimensionMismatch(.rows, argument: "right", expected: left.shape[1], found: right.shape[0])
        }
        var product = Tensor(uninitialized: [left.shape[0], right.shape[1]])
        product.withMutableMatrix { output in
            left.withMatrix { left in
                right.withMatrix { right in
                    workers.run(count: left.rows, tile: tileRows) { rows in
                        BLAS.multiply(left.rows(rows), right, into: output.rows(rows))
                    }
                }
            }
        }
        return product
    }

    /// The product of a matrix and a vector.
    ///
    /// - Parameters:
    ///   - matrix: `[n, k]`.
    ///   - vector: `[k]`.
    ///   - workers: the threads to use.
    /// - Returns: `[n]`.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the two do not fit together.
    public static func multiply(
        _ matrix: Tensor,
        vector: Tensor,
        workers: Workers = .all
    ) throws(SparseAttentionError) -> Tensor {
        try requireRank(2, of: matrix, named: "matrix")
        guard vector.shape.rank == 1, vector.count == matrix.shape[1] else {
            throw .shapeMismatch(argument: "vector", expected: [matrix.shape[1]], found: vector.shape)
        }
        var product = Tensor(uninitialized: [matrix.shape[0]])
        product.withMutableMatrix { output in
            matrix.withMatrix { matrix in
                vector.withMatrix { vector in
                    workers.run(count: matrix.rows, tile: tileRows) { rows in
                        Kernels.multiply(
                            matrix.rows(rows),
                            vector: vector.base,
                            into: output.base + rows.lowerBound
                        )
                    }
                }
            }
        }
        return product
    }

    /// The thin singular value decomposition `matrix = left · diag(values) · right`.
    public struct SingularValues: Sendable {
        /// The left singular vectors as columns, `[n, r]` with `r = min(n, m)`.
        public let left: Tensor
        /// The singular values, descending, `[r]`.
        public let values: Tensor
        /// The right singular vectors as rows, `[r, m]`.
        public let right: Tensor
    }

    /// Decomposes a matrix into its singular vectors and values.
    ///
    /// - Parameter matrix: `[n, m]`, finite and not empty.
    /// - Returns: the thin decomposition.
    /// - Throws: `nonFinite`, `dimensionMismatch` or `decompositionFailed`.
    ///
    /// Source: LAPACK `sgesdd`.
    public static func singularValues(of matrix: Tensor) throws(SparseAttentionError) -> SingularValues {
        try requireSolvable(matrix, named: "matrix")
        let (rows, columns) = (matrix.shape[0], matrix.shape[1])
        let rank = min(rows, columns)
        var working = matrix
        var left = Tensor(uninitialized: [rows, rank])
        var values = Tensor(uninitialized: [rank])
        var right = Tensor(uninitialized: [rank, columns])
        let code = working.withMutableMatrix { a in
            left.withMutableMatrix { u in
                values.withMutableMatrix { s in
                    right.withMutableMatrix { vt in
                        LAPACKE_sgesdd(
                            LAPACK_ROW_MAJOR,
                            CChar(UInt8(ascii: "S")),
                            Int32(rows),
                            Int32(columns),
                            a.base,
                            Int32(columns),
                            s.base,
                            u.base,
                            Int32(rank),
                            vt.base,
                            Int32(columns)
                        )
                    }
                }
            }
        }
        guard code == 0 else { throw .decompositionFailed(routine: "sgesdd", code: Int(code)) }
        return SingularValues(left: left, values: values, right: right)
    }

    /// The `x` of least norm that minimises `‖matrix · x − targets‖₂`, column by column.
    ///
    /// - Parameters:
    ///   - matrix: `[n, m]`, finite and not empty; it may lack full rank.
    ///   - targets: `[n, c]`, finite.
    ///   - tolerance: singular values below this share of the largest count as zero.
    /// - Returns: `[m, c]`.
    /// - Throws: `nonFinite`, `dimensionMismatch` or `decompositionFailed`.
    ///
    /// Source: LAPACK `sgelsd`.
    public static func leastSquares(
        _ matrix: Tensor,
        _ targets: Tensor,
        tolerance: Float = 1e-6
    ) throws(SparseAttentionError) -> Tensor {
        try requireSolvable(matrix, named: "matrix")
        try requireSolvable(targets, named: "targets")
        let (rows, columns, right) = (matrix.shape[0], matrix.shape[1], targets.shape[1])
        guard targets.shape[0] == rows else {
            throw .dimensionMismatch(.rows, argument: "targets", expected: rows, found: targets.shape[0])
        }
        var working = matrix
        var solution = Tensor(repeating: 0, shape: [max(rows, columns), right])
        solution.withMutableMatrix { output in
            targets.withMatrix { output.rows(0..<rows).copy(from: $0) }
        }
        var singular = Tensor(uninitialized: [min(rows, columns)])
        var rank: Int32 = 0
        let code = working.withMutableMatrix { a in
            solution.withMutableMatrix { b in
                singular.withMutableMatrix { s in
                    LAPACKE_sgelsd(
                        LAPACK_ROW_MAJOR,
                        Int32(rows),
                        Int32(columns),
                        Int32(right),
                        a.base,
                        Int32(columns),
                        b.base,
                        Int32(right),
                        s.base,
                        tolerance,
                        &rank
                    )
                }
            }
        }
        guard code == 0 else { throw .decompositionFailed(routine: "sgelsd", code: Int(code)) }
        return try solution.slice(0..<columns)
    }

    private static func requireRank(_ rank: Int, of tensor: Tensor, named name: String)
        throws(SparseAttentionError)
    {
        guard tensor.shape.rank == rank else {
            throw .dimensionMismatch(.rank, argument: name, expected: rank, found: tensor.shape.rank)
        }
    }

    private static func requireSolvable(_ matrix: Tensor, named name: String) throws(SparseAttentionError) {
        try requireRank(2, of: matrix, named: name)
        guard matrix.count > 0 else {
            throw .invalidSetting(
                name: name,
                found: "\(matrix.shape)",
                expected: "at least one row and one column"
            )
        }
        if let index = matrix.firstNonFinite { throw .nonFinite(argument: name, index: index) }
    }
}

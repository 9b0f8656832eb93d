import COpenBLAS

/// The door to OpenBLAS.
///
/// OpenBLAS keeps a process-wide pool of threads of its own. It is held to one thread here, once, before the
/// first call: `Workers` splits the work, so that results do not depend on the number of threads.
package enum BLAS {
    private static let isSingleThreaded: Bool = {
        openblas_set_num_threads(1)
        return true
    }()

    /// OpenBLAS's version and the kernels it chose for this processor.
    package static var description: String {
        "\(String(cString: openblas_get_config())) on \(String(cString: openblas_get_corename()))"
    }

    /// `output = scale · left · right`, or the same added to `output`; on the calling thread.
    ///
    /// - Parameters:
    ///   - left: `[n, k]`.
    ///   - right: `[k, m]`.
    ///   - scale: what the product is multiplied by.
    ///   - accumulating: whether the product is added to `output`.
    ///   - output: `[n, m]`, overwritten unless `accumulating`; must not overlap the others.
    package static func multiply(
        _ left: MatrixView,
        _ right: MatrixView,
        scale: Float = 1,
        accumulating: Bool = false,
        into output: MutableMatrixView
    ) {
        precondition(
            left.columns == right.rows && output.rows == left.rows && output.columns == right.columns
        )
        multiply(left, right, transposed: false, scale: scale, accumulating: accumulating, output)
    }

    /// `output = scale · left · rightᵀ`, or the same added to `output`; on the calling thread.
    ///
    /// - Parameters:
    ///   - left: `[n, k]`.
    ///   - right: `[m, k]`.
    ///   - scale: what the product is multiplied by.
    ///   - accumulating: whether the product is added to `output`.
    ///   - output: `[n, m]`, overwritten unless `accumulating`; must not overlap the others.
    package static func multiply(
        _ left: MatrixView,
        transposed right: MatrixView,
        scale: Float = 1,
        accumulating: Bool = false,
        into output: MutableMatrixView
    ) {
        precondition(
            left.columns == right.columns && output.rows == left.rows && output.columns == right.rows
        )
        multiply(left, right, transposed: true, scale: scale, accumulating: accumulating, output)
    }

    /// `output = scale · leftᵀ · right`, or the same added to `output`; on the calling thread.
    ///
    /// - Parameters:
    ///   - left: `[k, n]`.
    ///   - right: `[k, m]`.
    ///   - scale: what the product is multiplied by.
    ///   - accumulating: whether the product is added to `output`.
    ///   - output: `[n, m]`, overwritten unless `accumulating`; must not overlap the others.
    package static func multiply(
        transposed left: MatrixView,
        _ right: MatrixView,
        scale: Float = 1,
        accumulating: Bool = false,
        into output: MutableMatrixView
    ) {
        precondition(
            left.rows == right.rows && output.rows == left.columns && output.columns == right.columns
        )
        guard output.rows > 0, output.columns > 0 else { return }
        guard left.rows > 0 else {
            if !accumulating { output.fill(0) }
            return
        }
        precondition(isSingleThreaded)
        cblas_sgemm(
            CblasRowMajor,
            CblasTrans,
            CblasNoTrans,
            blasint(output.rows),
            blasint(output.columns),
            blasint(left.rows),
            scale,
            left.base,
            blasint(max(left.stride, 1)),
            right.base,
            blasint(max(right.stride, 1)),
            accumulating ? 1 : 0,
            output.base,
            blasint(max(output.stride, 1))
        )
    }

    private static func multiply(
        _ left: MatrixView,
        _ right: MatrixView,
        transposed: Bool,
        scale: Float,
        accumulating: Bool,
        _ output: MutableMatrixView
    ) {
        guard output.rows > 0, output.columns > 0 else { return }
        guard left.columns > 0 else {
            if !accumulating { output.fill(0) }
            return
        }
        precondition(isSingleThreaded)
        cblas_sgemm(
            CblasRowMajor,
            CblasNoTrans,
            transposed ? CblasTrans : CblasNoTrans,
            blasint(output.rows),
            blasint(output.columns),
            blasint(left.columns),
            scale,
            left.base,
            blasint(max(left.stride, 1)),
            right.base,
            blasint(max(right.stride, 1)),
            accumulating ? 1 : 0,
            output.base,
            blasint(max(output.stride, 1))
        )
    }
}

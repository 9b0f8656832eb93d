import CKernels

// MARK: - Products of bfloat16

extension Kernels {
    /// Whether gathered rows meet a few heads faster than in a product of matrices.
    static var gathers: Bool { active.gathers_f32 }

    /// The columns that gathered rows are multiplied by at once.
    package static let lanes = Int(dsa_lanes)

    /// `output[i] = rows[positions[i]] · matrix`, for the first lanes.
    ///
    /// - Parameters:
    ///   - positions: `[count]`.
    ///   - rows: all rows.
    ///   - lanes: how many columns of the matrix count; those of the output beyond may hold anything.
    ///   - matrix: `[columns, Kernels.lanes]`.
    ///   - output: `[count, Kernels.lanes]`.
    package static func multiply(
        gathered positions: UnsafeBufferPointer<Int32>,
        of rows: MatrixView,
        lanes: Int = Kernels.lanes,
        by matrix: UnsafePointer<Float>,
        into output: UnsafeMutablePointer<Float>
    ) {
        active.gather_multiply_f32(
            positions.count,
            positions.baseAddress,
            rows.columns,
            rows.base,
            rows.stride,
            lanes,
            matrix,
            output
        )
    }

    /// `output += weightsᵀ · rows[positions]`.
    ///
    /// - Parameters:
    ///   - positions: `[count]`.
    ///   - rows: all rows.
    ///   - lanes: how many weights of a row count; rows of the output beyond may hold anything.
    ///   - weights: `[count, Kernels.lanes]`.
    ///   - output: `[Kernels.lanes, columns]`.
    package static func add(
        gathered positions: UnsafeBufferPointer<Int32>,
        of rows: MatrixView,
        lanes: Int = Kernels.lanes,
        times weights: UnsafePointer<Float>,
        to output: UnsafeMutablePointer<Float>
    ) {
        active.gather_add_f32(
            positions.count,
            positions.baseAddress,
            rows.columns,
            rows.base,
            rows.stride,
            lanes,
            weights,
            output
        )
    }

    /// Replaces scores by their exponentials relative to the largest of each lane.
    ///
    /// - Parameters:
    ///   - scores: `[count, Kernels.lanes]`.
    ///   - count: how many there are of each lane.
    ///   - lanes: how many lanes count.
    ///   - scale: what scores are multiplied by, positive.
    ///   - maxima: the largest of each lane, scaled, `[Kernels.lanes]`.
    ///   - sums: the sums of the exponentials, `[Kernels.lanes]`.
    static func exponentiate(
        lanesOf scores: UnsafeMutablePointer<Float>,
        count: Int,
        lanes: Int,
        scale: Float,
        maxima: UnsafeMutablePointer<Float>,
        sums: UnsafeMutablePointer<Float>
    ) {
        active.exp_sum_lanes(count, lanes, scale, scores, maxima, sums)
    }

    /// `rows[positions[i]] += weights[i] · matrix`; no position comes twice.
    ///
    /// - Parameters:
    ///   - weights: `[count, Kernels.lanes]`.
    ///   - lanes: how many weights of a row count.
    ///   - matrix: `[Kernels.lanes, columns]`.
    ///   - positions: `[count]`.
    ///   - rows: all rows.
    package static func scatter(
        _ weights: UnsafePointer<Float>,
        lanes: Int = Kernels.lanes,
        times matrix: UnsafePointer<Float>,
        to positions: UnsafeBufferPointer<Int32>,
        of rows: MutableMatrixView
    ) {
        active.scatter_add_f32(
            positions.count,
            positions.baseAddress,
            rows.columns,
            lanes,
            weights,
            matrix,
            rows.base,
            rows.stride
        )
    }

    /// The columns of one panel of a packed factor.
    package static let panelColumns = Int(DSA_PANEL_COLUMNS)

    /// Packs a factor `[k, n]` from its columns, `[k]` each.
    package static func pack(
        columns: UnsafePointer<UnsafePointer<UInt16>?>,
        count n: Int,
        length k: Int,
        into panels: UnsafeMutablePointer<UInt16>
    ) {
        active.pack_columns_bf16(n, k, columns, panels)
    }

    /// Packs a factor `[k, n]` from its rows, `[n]` each.
    package static func pack(
        rows: UnsafePointer<UnsafePointer<UInt16>?>,
        count k: Int,
        length n: Int,
        into panels: UnsafeMutablePointer<UInt16>
    ) {
        active.pack_rows_bf16(k, n, rows, panels)
    }

    /// `output = left · right`, or the same added to it; the product times one factor for each column, if given.
    package static func multiply(
        _ left: BFloat16Matrix,
        panels: UnsafePointer<UInt16>,
        panelStride: Int,
        factors: UnsafePointer<Float>?,
        accumulating: Bool,
        into output: MutableMatrixView
    ) {
        active.multiply_bf16(
            left.rows,
            output.columns,
            (left.columns + 1) / 2,
            left.base,
            left.stride,
            panels,
            panelStride,
            factors,
            output.base,
            output.stride,
            accumulating
        )
    }

    /// Widens E4M3 codes, multiplies them by a scale and rounds to bfloat16.
    package static func rescale(
        float8 x: UnsafePointer<UInt8>,
        by scale: Float,
        toBFloat16 y: UnsafeMutablePointer<UInt16>,
        count: Int
    ) {
        active.rescale_e4m3_bf16(count, scale, x, y)
    }

    /// `y[i] = exp(scale * x[i] - shift)` rounded to bfloat16; returns the float32 sum of the unrounded numbers.
    package static func exponentiate(
        _ x: UnsafePointer<Float>,
        scale: Float,
        shift: Float,
        toBFloat16 y: UnsafeMutablePointer<UInt16>,
        count: Int
    ) -> Float {
        active.exp_sum_bf16(count, scale, shift, x, y)
    }

    /// Asks for memory to be brought near.
    package static func prefetch(_ x: UnsafeRawPointer, byteCount: Int) {
        active.prefetch(byteCount, x)
    }
}

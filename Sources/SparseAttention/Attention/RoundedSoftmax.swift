import Foundation

/// Softmax-weighted sums of values, built up tile by tile of keys, with probabilities in bfloat16.
///
/// What `OnlineSoftmax` is for float32: probabilities relative to the largest score so far are rounded as they enter
/// the product with the values; their sum, and with it the log-sum-exp, is that of the unrounded ones in float32.
///
/// Source: Dao et al. 2022, algorithm 1, with the precision of FlashAttention's and FlashMLA's bfloat16 kernels.
struct RoundedSoftmax {
    /// What scores are multiplied by, positive.
    let scale: Float

    private let output: MutableMatrixView  // [rows, valueDim], relative to `maxima`
    private let maxima: UnsafeMutablePointer<Float>  // [rows], scaled
    private let sums: UnsafeMutablePointer<Float>  // [rows], relative to `maxima`

    /// Floats of working memory for a number of rows.
    static func scratchFloats(rows: Int, valueDim: Int) -> Int {
        rows * (valueDim + 2)
    }

    /// State for `rows` query rows in one worker's memory.
    init(rows: Int, valueDim: Int, scale: Float, scratch: Scratch) {
        self.scale = scale
        output = scratch.matrix(rows: rows, columns: valueDim)
        maxima = scratch.array(of: Float.self, count: rows)
        sums = scratch.array(of: Float.self, count: rows)
    }

    /// Forgets all keys for the first `rows` rows.
    func reset(rows: Int) {
        output.rows(0..<rows).fill(0)
        maxima.update(repeating: -.infinity, count: rows)
        sums.update(repeating: 0, count: rows)
    }

    /// Adds a tile of keys.
    ///
    /// - Parameters:
    ///   - scores: `[rows, keys]`, unscaled; −infinity for a hidden key.
    ///   - visible: how many leading keys each row may see, `[rows]`; nil for all.
    ///   - probabilities: room for `[rows, keys]`.
    ///   - values: `[keys, valueDim]`, packed.
    ///   - brokenValues: the same by rows when one holds a NaN or an infinity and some row must not see it.
    func add(
        scores: MutableMatrixView,
        visible: UnsafePointer<Int>?,
        probabilities: BFloat16Matrix,
        values: PackedPanels,
        brokenValues: UnsafePointer<UnsafePointer<UInt16>?>?
    ) {
        let weights = BFloat16Matrix(
            base: probabilities.base,
            rows: scores.rows,
            columns: scores.columns,
            stride: probabilities.stride
        )
        for row in 0..<scores.rows {
            let keys = visible?[row] ?? scores.columns
            let line = weights[row]
            if !update(row: row, scores: scores[row], keys: keys, into: line) {
                line.update(repeating: 0, count: keys)
            }
            (line + keys).update(repeating: 0, count: BFloat16Matrix.stride(columns: scores.columns) - keys)
        }
        let target = output.rows(0..<scores.rows)
        if let brokenValues {
            // A hidden key's weight is 0, and 0 · NaN would reach rows that never saw it.
            addSeen(brokenValues, weights: weights, keys: scores.columns, to: target)
        } else {
            values.multiply(weights, accumulating: true, into: target)
        }
    }

    /// Takes a row's scores into account and writes their exponentials; false when it has seen nothing yet.
    private func update(
        row: Int,
        scores: UnsafePointer<Float>,
        keys: Int,
        into weights: UnsafeMutablePointer<UInt16>
    ) -> Bool {
        let tileLargest = scale * Kernels.maximum(scores, count: keys)
        // `max` would drop a NaN, and a broken row would look like one that sees nothing.
        let largest = tileLargest.isNaN ? .nan : max(maxima[row], tileLargest)
        guard largest != -.infinity else { return false }
        let sum = Kernels.exponentiate(scores, scale: scale, shift: largest, toBFloat16: weights, count: keys)
        if maxima[row] == -.infinity {
            sums[row] = sum  // and the output is still 0
        } else if maxima[row] == largest {
            sums[row] += sum
        } else {
            let correction = exp(maxima[row] - largest)
            sums[row] = sums[row] * correction + sum
            Kernels.scale(output[row], by: correction, count: output.columns)
        }
        maxima[row] = largest
        return true
    }

    private func addSeen(
        _ values: UnsafePointer<UnsafePointer<UInt16>?>,
        weights: BFloat16Matrix,
        keys: Int,
        to target: MutableMatrixView
    ) {
        for key in 0..<keys {
            guard let source = values[key] else { continue }
            for row in 0..<weights.rows where weights[row][key] != 0 {
                let weight = BFloat16(bitPattern: weights[row][key]).float
                Kernels.add(bfloat16: source, times: weight, to: target[row], count: target.columns)
            }
        }
    }

    /// Writes the results of one row.
    func finish(row: Int, into result: AttentionResult.Rows, at index: Int) {
        let target = result.output[index]
        target.update(from: output[row], count: output.columns)
        if maxima[row] == -.infinity {
            result.logSumExp[index] = -.infinity
        } else {
            Kernels.scale(target, by: 1 / sums[row], count: output.columns)
            result.logSumExp[index] = maxima[row] + log(sums[row])
        }
        result.maximumScore[index] = maxima[row]
    }
}

extension UnsafePointer<UnsafePointer<UInt16>?> {
    /// Whether the first `columns` numbers of `count` rows of bfloat16 are all finite.
    func areFinite(count: Int, columns: Int) -> Bool {
        for index in 0..<count {
            guard let row = self[index] else { continue }
            var largest: UInt16 = 0
            for column in 0..<columns {
                largest = Swift.max(largest, row[column] & 0x7FFF)
            }
            if largest >= 0x7F80 { return false }
        }
        return true
    }
}

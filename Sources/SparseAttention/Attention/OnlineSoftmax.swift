import Foundation

/// Softmax-weighted sums of values, built up tile by tile of keys.
///
/// Keeps for each query row the largest score so far, the sum of exponentials relative to it, and the sum of
/// values weighted alike; a new largest score rescales both sums. No row of scores outlives its tile.
///
/// Where activations are rounded to bfloat16, probabilities are rounded after they have been divided by their sum,
/// which needs the sum first: the keys are gone through twice.
///
/// Source: Milakov and Gimelshein 2018; Dao et al. 2022, algorithm 1.
struct OnlineSoftmax {
    /// One time through all tiles of keys.
    enum Pass {
        /// Sums relative to the largest score so far, rescaled as it grows.
        case whole
        /// Largest scores and sums of exponentials only.
        case statistics
        /// Values weighted by rounded probabilities; after `statistics`.
        case probabilities
    }

    /// What scores are multiplied by, positive.
    let scale: Float
    /// How probabilities and outputs are rounded.
    let activations: StorageFormat

    private let output: MutableMatrixView  // [rows, valueDim], relative to `maxima`
    private let maxima: UnsafeMutablePointer<Float>  // [rows], scaled
    private let sums: UnsafeMutablePointer<Float>  // [rows], relative to `maxima`

    /// Floats of working memory for a number of rows.
    static func scratchFloats(rows: Int, valueDim: Int) -> Int {
        rows * (valueDim + 2)
    }

    /// State for `rows` query rows in one worker's memory.
    init(rows: Int, valueDim: Int, scale: Float, activations: StorageFormat, scratch: Scratch) {
        self.scale = scale
        self.activations = activations
        output = scratch.matrix(rows: rows, columns: valueDim)
        maxima = scratch.matrix(rows: 1, columns: rows).base
        sums = scratch.matrix(rows: 1, columns: rows).base
    }

    /// The passes over the keys that a rounding needs, in order.
    static func passes(_ activations: StorageFormat) -> [Pass] {
        activations == .float32 ? [.whole] : [.statistics, .probabilities]
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
    ///   - scores: `[rows, keys]`, unscaled; −infinity for a hidden key. Overwritten.
    ///   - visible: how many leading keys each row may see, `[rows]`; nil for all.
    ///   - hidesKeys: whether some score may be −infinity on purpose.
    ///   - values: `[keys, valueDim]`.
    ///   - pass: what to do with it.
    func add(
        scores: MutableMatrixView,
        visible: UnsafePointer<Int>?,
        hidesKeys: Bool,
        values: MatrixView,
        pass: Pass
    ) {
        for row in 0..<scores.rows {
            let keys = visible?[row] ?? scores.columns
            let line = scores[row]
            if keys < scores.columns {
                (line + keys).update(repeating: 0, count: scores.columns - keys)
            }
            if pass != .probabilities {
                updateStatistics(row: row, scores: line, keys: keys, rescalesOutput: pass == .whole)
            } else if maxima[row] == -.infinity {
                line.update(repeating: 0, count: keys)
            } else {
                _ = Kernels.exponentiate(line, scale: scale, shift: maxima[row], count: keys)
                Kernels.scale(line, by: 1 / sums[row], count: keys)
                Kernels.roundToBFloat16(line, count: keys)
            }
        }
        guard pass != .statistics else { return }
        let target = output.rows(0..<scores.rows)
        if (visible != nil || hidesKeys) && !values.isFinite {
            // A hidden key's weight is 0, and 0 · NaN would reach rows that never saw it.
            addSeenValues(weights: scores.view, values: values, to: target)
        } else {
            BLAS.multiply(scores.view, values, accumulating: true, into: target)
        }
    }

    /// Takes a row's scores into account and leaves their exponentials in place.
    private func updateStatistics(
        row: Int,
        scores: UnsafeMutablePointer<Float>,
        keys: Int,
        rescalesOutput: Bool
    ) {
        let tileLargest = scale * Kernels.maximum(scores, count: keys)
        // `max` would drop a NaN, and a broken row would look like one that sees nothing.
        let largest = tileLargest.isNaN ? .nan : max(maxima[row], tileLargest)
        guard largest != -.infinity else {
            scores.update(repeating: 0, count: keys)
            return
        }
        let correction = exp(maxima[row] - largest)
        sums[row] =
            sums[row] * correction + Kernels.exponentiate(scores, scale: scale, shift: largest, count: keys)
        maxima[row] = largest
        if rescalesOutput && correction != 1 {
            Kernels.scale(output[row], by: correction, count: output.columns)
        }
    }

    /// Writes the results of one row.
    func finish(row: Int, into result: AttentionResult.Rows, at index: Int) {
        let target = result.output[index]
        target.update(from: output[row], count: output.columns)
        if maxima[row] == -.infinity {
            result.logSumExp[index] = -.infinity
        } else {
            if activations == .float32 {
                Kernels.scale(target, by: 1 / sums[row], count: output.columns)
            } else {
                Kernels.roundToBFloat16(target, count: output.columns)
            }
            result.logSumExp[index] = maxima[row] + log(sums[row])
        }
        result.maximumScore[index] = maxima[row]
    }

    private func addSeenValues(weights: MatrixView, values: MatrixView, to target: MutableMatrixView) {
        for row in 0..<weights.rows {
            for key in 0..<weights.columns where weights[row][key] != 0 {
                Kernels.add(values[key], times: weights[row][key], to: target[row], count: values.columns)
            }
        }
    }
}

extension MatrixView {
    /// Whether no element is NaN or infinite.
    fileprivate var isFinite: Bool {
        for row in 0..<rows {
            // x · 0 is NaN exactly for NaN and the infinities.
            var probe: Float = 0
            for column in 0..<columns {
                probe += self[row][column] * 0
            }
            if probe.isNaN { return false }
        }
        return true
    }
}

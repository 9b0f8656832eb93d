import Foundation
package import SparseAttention

/// The definitions as plain `Float` loops in index order: how exact a simple program would be.
package enum PlainLoops {
    /// The dot product.
    package static func dot(_ x: ArraySlice<Float>, _ y: ArraySlice<Float>) -> Float {
        var sum: Float = 0
        for (a, b) in zip(x, y) {
            sum += a * b
        }
        return sum
    }

    /// `left · rightᵀ` for matrices of `depth` columns, in row-major order.
    package static func product(_ left: [Float], transposed right: [Float], depth: Int) -> [Float] {
        let (rows, columns) = (left.count / max(depth, 1), right.count / max(depth, 1))
        return (0..<rows * columns).map { index in
            let (row, column) = (index / columns, index % columns)
            return dot(left[row * depth..<(row + 1) * depth], right[column * depth..<(column + 1) * depth])
        }
    }

    /// `left · rightᵀ` in `Double`.
    package static func exactProduct(_ left: [Float], transposed right: [Float], depth: Int) -> [Double] {
        let (rows, columns) = (left.count / max(depth, 1), right.count / max(depth, 1))
        return (0..<rows * columns).map { index in
            let (row, column) = (index / columns * depth, index % columns * depth)
            return (0..<depth).reduce(0.0) { $0 + Double(left[row + $1]) * Double(right[column + $1]) }
        }
    }

    /// The softmax of a row; zeros when all is hidden.
    package static func softmax(_ row: [Float]) -> [Float] {
        let largest = row.max() ?? -.infinity
        guard largest > -.infinity else { return row.map { _ in 0 } }
        let weights = row.map { exp($0 - largest) }
        let total = weights.reduce(0, +)
        return weights.map { $0 / total }
    }

    /// One query's attention to some rows: output and log-sum-exp.
    package static func attend(
        _ query: ArraySlice<Float>,
        keys: [ArraySlice<Float>],
        values: [ArraySlice<Float>],
        valueDim: Int,
        scale: Float
    ) -> (output: [Float], logSumExp: Float) {
        let scores = keys.map { dot(query, $0) * scale }
        guard let largest = scores.max() else { return ([Float](repeating: 0, count: valueDim), -.infinity) }
        var output = [Float](repeating: 0, count: valueDim)
        var total: Float = 0
        for (score, value) in zip(scores, values) {
            let weight = exp(score - largest)
            total += weight
            for (column, element) in value.enumerated() {
                output[column] += weight * element
            }
        }
        return (output.map { $0 / total }, largest + log(total))
    }

    /// Causal attention of every query token and head: outputs and log-sum-exps, in the order of a result.
    ///
    /// Keys and values are `[keyTokens, keyHeads, …]`; of wider values the first `valueDim` columns count. A selection
    /// replaces the visible keys.
    package static func attention(
        _ queries: Tensor,
        keys: Tensor,
        values: Tensor,
        valueDim: Int,
        scale: Float,
        selection: TokenSelection? = nil
    ) -> (output: [Float], logSumExp: [Float]) {
        let (q, k, v) = (queries.elements, keys.elements, values.elements)
        let (tokens, heads, width) = (queries.shape[0], queries.shape[1], queries.shape[2])
        let (keyTokens, keyHeads, valueWidth) = (keys.shape[0], keys.shape[1], values.shape[2])
        var (output, logSumExp): ([Float], [Float]) = ([], [])
        for token in 0..<tokens {
            let seen =
                selection.map { $0[token].map(Int.init).filter { $0 >= 0 && $0 < keyTokens } }
                ?? Array(0...keyTokens - tokens + token)
            for head in 0..<heads {
                let keyHead = head / (heads / keyHeads)
                let row = (token * heads + head) * width
                let part = attend(
                    q[row..<row + width],
                    keys: seen.map { key in
                        let start = (key * keyHeads + keyHead) * width
                        return k[start..<start + width]
                    },
                    values: seen.map { key in
                        let start = (key * keyHeads + keyHead) * valueWidth
                        return v[start..<start + valueDim]
                    },
                    valueDim: valueDim,
                    scale: scale
                )
                output += part.output
                logSumExp.append(part.logSumExp)
            }
        }
        return (output, logSumExp)
    }
}

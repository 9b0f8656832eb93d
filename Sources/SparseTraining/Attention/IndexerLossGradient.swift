import Foundation
import SparseAttention

/// The indexer's loss, `KL(attention ‖ softmax(I))`, and its gradients.
///
/// The attention it is to match and everything the indexer reads are constants: nothing else gets a gradient.
///
/// Source: V3.2-Exp report §2.1, equations 3 and 4.
struct IndexerLossGradient {
    /// The number of index heads.
    let heads: Int
    /// The width of index queries and keys.
    let headDim: Int
    /// What a query token's loss counts for.
    let weight: Float
    /// The threads to use.
    let workers: Workers

    /// Parts of the query tokens, each with a sum of its own.
    static let parts = 8
    /// Query tokens whose scores of all keys are kept at once.
    static let tileTokens = 32

    /// What scores are made of.
    struct Operands: Sendable {
        /// `[tokens, heads, headDim]`, after RoPE.
        let queries: Tensor
        /// `[tokens, headDim]`, after RoPE.
        let keys: Tensor
        /// `[tokens, heads]`, as `weights_proj` gives them.
        var weights: Tensor
    }

    /// Losses in nats, not weighted, and gradients in the shapes of the operands.
    struct Result {
        var losses: Tensor  // [tokens]
        var queries: Tensor
        var keys: Tensor
        var weights: Tensor
    }

    /// Head weights are multiplied by this.
    private var factor: Float { 1 / Float(heads).squareRoot() / Float(headDim).squareRoot() }

    /// The loss over all visible tokens: the dense warm-up.
    ///
    /// - Parameters:
    ///   - operands: what scores are made of.
    ///   - attention: writes the attention of some query tokens to the tokens from the first on, 0 where one is not
    ///     visible; each row sums to 1.
    /// - Returns: losses and gradients.
    func overVisible(
        _ operands: Operands,
        attention: @Sendable (_ tokens: Range<Int>, _ output: MutableMatrixView) -> Void
    ) -> Result {
        let tokens = operands.keys.shape[0]
        return run(operands) { part, index, views in
            let memory = VisibleMemory(tile: Self.tileTokens, tokens: part.upperBound)
            for start in stride(from: part.lowerBound, to: part.upperBound, by: Self.tileTokens) {
                let tile = start..<min(start + Self.tileTokens, part.upperBound)
                let target = memory.target.part(rows: tile.count, columns: tile.upperBound)
                attention(tile, target)
                views.addVisible(
                    tile,
                    target,
                    memory,
                    keyGradients: views.keyParts.rows(
                        index * tokens..<(index + 1) * tokens
                    )
                )
            }
        }
    }

    /// The loss over the selected tokens: sparse training.
    ///
    /// - Parameters:
    ///   - operands: what scores are made of.
    ///   - selection: unused slots come last.
    ///   - attention: that of each query token to its selected tokens, `[tokens, slots]`; each row sums to 1.
    /// - Returns: losses and gradients.
    func overSelected(_ operands: Operands, _ selection: TokenSelection, attention: Tensor) -> Result {
        let tokens = operands.keys.shape[0]
        return attention.withMatrix { attention in
            run(operands) { part, index, views in
                let memory = SelectedMemory(slots: selection.slots, headDim: headDim)
                let gradients = views.keyParts.rows(index * tokens..<(index + 1) * tokens)
                for token in part {
                    selection[token].prefix { $0 >= 0 }.withUnsafeBufferPointer { positions in
                        views.addSelected(token, positions, attention[token], memory, keyGradients: gradients)
                    }
                }
            }
        }
    }

    private func run(
        _ operands: Operands,
        _ body: @Sendable (_ tokens: Range<Int>, _ part: Int, _ views: Views) -> Void
    ) -> Result {
        let tokens = operands.keys.shape[0]
        let size = tileCount(tokens, Self.parts)
        var result = Result(
            losses: Tensor(repeating: 0, shape: [tokens]),
            queries: Tensor(repeating: 0, shape: operands.queries.shape),
            keys: Tensor(repeating: 0, shape: operands.keys.shape),
            weights: Tensor(repeating: 0, shape: operands.weights.shape)
        )
        var keyParts = Tensor(repeating: 0, shape: [Self.parts * tokens, headDim])
        lend(mutable: &result.queries, &result.weights, &keyParts) {
            queryGradients,
            weightGradients,
            keyParts in
            result.losses.withMutableMatrix { losses in
                lend(operands.queries, operands.keys, operands.weights) { queries, keys, weights in
                    let views = Views(
                        heads: heads,
                        factor: factor,
                        lossWeight: weight,
                        queries: queries.reshaped(rows: tokens, columns: heads * headDim),
                        keys: keys,
                        weights: weights,
                        losses: losses,
                        queryGradients: queryGradients.reshaped(rows: tokens, columns: heads * headDim),
                        weightGradients: weightGradients,
                        keyParts: keyParts
                    )
                    workers.run(tiles: Self.parts) { part in
                        let first = min(part * size, tokens)
                        body(first..<min(first + size, tokens), part, views)
                    }
                }
            }
        }
        for part in 0..<Self.parts {
            result.keys.add(keyParts.rows(part * tokens..<(part + 1) * tokens))
        }
        return result
    }
}

/// Operands and gradients, lent for one pass.
private struct Views: Sendable {
    let heads: Int
    let factor: Float
    let lossWeight: Float
    let queries: MatrixView  // [tokens, heads · headDim]
    let keys: MatrixView  // [tokens, headDim]
    let weights: MatrixView  // [tokens, heads]
    let losses: MutableMatrixView  // [tokens]
    let queryGradients: MutableMatrixView
    let weightGradients: MutableMatrixView
    let keyParts: MutableMatrixView  // [parts · tokens, headDim]

    private func columns(_ head: Int) -> Range<Int> {
        head * keys.columns..<(head + 1) * keys.columns
    }

    /// A tile of query tokens against all keys they see.
    func addVisible(
        _ tile: Range<Int>,
        _ target: MutableMatrixView,
        _ memory: VisibleMemory,
        keyGradients: MutableMatrixView
    ) {
        let seen = keys.rows(0..<tile.upperBound)
        let scores = memory.scores.part(rows: tile.count, columns: tile.upperBound)
        let logits = memory.logits.part(rows: tile.count, columns: tile.upperBound)
        scores.fill(0)
        for head in 0..<heads {
            BLAS.multiply(queries.rows(tile).columns(columns(head)), transposed: seen, into: logits)
            for (row, token) in tile.enumerated() {
                scores[row].addPositive(logits[row], times: weights[token][head] * factor, count: token + 1)
            }
        }
        for (row, token) in tile.enumerated() {
            losses.base[token] = scores[row].differentiate(
                target: target[row],
                weight: lossWeight,
                count: token + 1
            )
        }
        for head in 0..<heads {
            BLAS.multiply(queries.rows(tile).columns(columns(head)), transposed: seen, into: logits)
            for (row, token) in tile.enumerated() {
                let (line, count) = (logits[row], token + 1)
                let weight = weights[token][head] * factor
                weightGradients[token][head] = factor * line.gate(scores[row], times: weight, count: count)
                (line + count).update(repeating: 0, count: tile.upperBound - count)
            }
            BLAS.multiply(logits.view, seen, into: queryGradients.rows(tile).columns(columns(head)))
            BLAS.multiply(
                transposed: logits.view,
                queries.rows(tile).columns(columns(head)),
                accumulating: true,
                into: keyGradients.rows(0..<tile.upperBound)
            )
        }
    }

    /// One query token against the keys it selected.
    func addSelected(
        _ token: Int,
        _ positions: UnsafeBufferPointer<Int32>,
        _ target: UnsafePointer<Float>,
        _ memory: SelectedMemory,
        keyGradients: MutableMatrixView
    ) {
        let (count, scores, weights) = (positions.count, memory.scores.base, weights[token])
        let query = queries.rows(token..<token + 1).reshaped(rows: heads, columns: keys.columns)
        let gradients = queryGradients.rows(token..<token + 1).reshaped(rows: heads, columns: keys.columns)
        let groups = stride(from: 0, to: heads, by: Kernels.lanes).map {
            $0..<min($0 + Kernels.lanes, heads)
        }
        scores.update(repeating: 0, count: count)
        for group in groups {
            memory.score(positions, keys, query.rows(group))
            let factors = factor * Lanes(first: group.count, of: weights + group.lowerBound)
            for slot in 0..<count {
                let logits = memory.logits.base.lanes(at: slot * Lanes.scalarCount)
                scores[slot] += (factors * logits.kept(wherePositive: logits)).total
            }
        }
        losses.base[token] = scores.differentiate(target: target, weight: lossWeight, count: count)
        for group in groups {
            // With one group its logits are still there.
            if groups.count > 1 { memory.score(positions, keys, query.rows(group)) }
            let factors = factor * Lanes(first: group.count, of: weights + group.lowerBound)
            var sums = Lanes.zero
            for slot in 0..<count {
                let logits = memory.logits.base.lanes(at: slot * Lanes.scalarCount)
                let gradient = scores[slot]
                sums += (factor * gradient) * logits.kept(wherePositive: logits)
                let passed = (factors * gradient).kept(wherePositive: logits)
                memory.logits.base.setLanes(passed, at: slot * Lanes.scalarCount)
            }
            for (lane, head) in group.enumerated() {
                weightGradients[token][head] = sums[lane]
            }
            memory.sums.fill(0)
            Kernels.add(
                gathered: positions,
                of: keys,
                lanes: group.count,
                times: memory.logits.base,
                to: memory.sums.base
            )
            Kernels.scatter(
                memory.logits.base,
                lanes: group.count,
                times: memory.transposed.base,
                to: positions,
                of: keyGradients
            )
            for (lane, head) in group.enumerated() {
                gradients[head].update(from: memory.sums[lane], count: keys.columns)
            }
        }
    }
}

/// One worker's scores of a tile of query tokens.
private final class VisibleMemory {
    let target: MutableMatrixView  // [tile, tokens]
    let scores: MutableMatrixView  // [tile, tokens]
    let logits: MutableMatrixView  // [tile, tokens]
    private let scratch: Scratch

    init(tile: Int, tokens: Int) {
        scratch = Scratch(floats: 3 * tile * tokens)
        target = scratch.matrix(rows: tile, columns: tokens)
        scores = scratch.matrix(rows: tile, columns: tokens)
        logits = scratch.matrix(rows: tile, columns: tokens)
    }
}

/// One worker's numbers of a group of heads against selected keys.
private final class SelectedMemory {
    let queries: MutableMatrixView  // [headDim, lanes]
    let transposed: MutableMatrixView  // [lanes, headDim]
    let logits: MutableMatrixView  // [slots, lanes]
    let scores: MutableMatrixView  // [1, slots]
    let sums: MutableMatrixView  // [lanes, headDim]
    private let scratch: Scratch

    init(slots: Int, headDim: Int) {
        let lanes = Kernels.lanes
        scratch = Scratch(floats: 3 * headDim * lanes + slots * (lanes + 1))
        queries = scratch.matrix(rows: headDim, columns: lanes)
        transposed = scratch.matrix(rows: lanes, columns: headDim)
        logits = scratch.matrix(rows: slots, columns: lanes)
        scores = scratch.matrix(rows: 1, columns: slots)
        sums = scratch.matrix(rows: lanes, columns: headDim)
    }

    /// The logits of some heads; lanes without a head hold 0.
    func score(_ positions: UnsafeBufferPointer<Int32>, _ keys: MatrixView, _ query: MatrixView) {
        transposed.fill(0)
        transposed.rows(0..<query.rows).copy(from: query)
        queries.transpose(transposed.view)
        Kernels.multiply(gathered: positions, of: keys, by: queries.base, into: logits.base)
    }
}

extension UnsafeMutablePointer<Float> {
    /// `self[i] += factor · max(logits[i], 0)`.
    fileprivate func addPositive(_ logits: UnsafeMutablePointer<Float>, times factor: Float, count: Int) {
        for index in 0..<count {
            self[index] += factor * Swift.max(logits[index], 0)
        }
    }

    /// Replaces scores by the gradient of `weight · KL(target ‖ softmax(scores))`; returns the divergence.
    fileprivate func differentiate(target: UnsafePointer<Float>, weight: Float, count: Int) -> Float {
        let largest = Kernels.maximum(self, count: count)
        var expected = 0.0  // Σ target (log target − score)
        for index in 0..<count where target[index] > 0 {
            expected += Double(target[index]) * (log(Double(target[index])) - Double(self[index]))
        }
        let sum = Kernels.exponentiate(self, scale: 1, shift: largest, count: count)
        for index in 0..<count {
            self[index] = weight * (self[index] / sum - target[index])
        }
        return Float(expected + Double(largest) + log(Double(sum)))
    }

    /// Replaces logits by their gradient, `factor · gradients` where they are positive; returns the gradient of the factor.
    fileprivate func gate(_ gradients: UnsafeMutablePointer<Float>, times factor: Float, count: Int) -> Float
    {
        var sum: Float = 0
        for index in 0..<count {
            let logit = self[index]
            sum += gradients[index] * Swift.max(logit, 0)
            self[index] = logit > 0 ? factor * gradients[index] : 0
        }
        return sum
    }
}

import Foundation
import SparseAttention
import TestSupport
import XCTest

@testable import SparseTraining

/// The attention cores and the indexer's loss.
final class AttentionGradientTests: XCTestCase {
    private let scale: Float = 0.5

    private func sizes() throws -> LatentAttention.Dimensions {
        try .init(heads: 2, latentDim: 4, ropeDim: 2, nopeDim: 3, valueDim: 2)
    }

    func testDenseCore() throws {
        let (sizes, tokens) = (try sizes(), 5)
        var generator = SeededGenerator(seed: 1)
        let queries = generator.tensor([tokens, 10])
        let pairs = generator.tensor([tokens, 10])
        let ropeKeys = generator.tensor([tokens, 2])
        let slope = generator.tensor([tokens, 4])
        let forward = dense([queries, pairs, ropeKeys].map(\.doubles))
        let gradients = DenseAttentionGradient(sizes: sizes, scale: scale, workers: .all)(
            slope,
            .init(
                queries: queries,
                keyValues: pairs,
                ropeKeys: ropeKeys,
                output: Tensor(trusted: forward.output).shaped([tokens, 4]),
                logSumExp: Tensor(trusted: forward.logSumExp).shaped([tokens, 2])
            )
        )
        CentralDifferences(inputs: [queries, pairs, ropeKeys].map(\.doubles)) { [self] in
            dot(dense($0).output, slope)
        }.check([gradients.queries, gradients.keyValues, gradients.ropeKeys])
    }

    /// Two heads over all visible tokens; a pair is a head's key and its value.
    private func dense(_ inputs: [[Double]]) -> (output: [Double], logSumExp: [Double]) {
        let (queries, pairs, ropeKeys) = (inputs[0], inputs[1], inputs[2])
        var (output, logSumExp) = ([Double](), [Double]())
        for token in 0..<queries.count / 10 {
            for head in 0..<2 {
                let query = queries[token * 10 + head * 5..<token * 10 + (head + 1) * 5]
                let scores = (0...token).map { key -> Double in
                    let numbers =
                        pairs[key * 10 + head * 5..<key * 10 + head * 5 + 3]
                        + ropeKeys[key * 2..<key * 2 + 2]
                    return Double(scale) * zip(query, numbers).reduce(0) { $0 + $1.0 * $1.1 }
                }
                logSumExp.append(log(scores.reduce(0) { $0 + exp($1) }))
                let weights = Definitions.softmax(scores)
                for column in 0..<2 {
                    output.append(
                        weights.enumerated().reduce(0) {
                            $0 + $1.element * pairs[$1.offset * 10 + head * 5 + 3 + column]
                        }
                    )
                }
            }
        }
        return (output, logSumExp)
    }

    func testSelectedCore() throws {
        let (sizes, tokens) = (try sizes(), 6)
        var generator = SeededGenerator(seed: 2)
        let queries = generator.tensor([tokens, 2, 6])
        let rows = generator.tensor([tokens, 6])
        let slope = generator.tensor([tokens, 2, 4])
        let sets: [[Int32]] = [[0], [0, 1], [0, 2], [1, 2, 3], [0, 3, 4], [2, 4, 5]]
        let selection = try TokenSelection(
            positions: sets.flatMap { $0 + [Int32](repeating: -1, count: 3 - $0.count) },
            queryTokens: tokens,
            slots: 3
        )
        let forward = selected(queries.doubles, rows.doubles, sets)
        let corrections = (0..<tokens * 2).map { index in
            (0..<4).reduce(0.0) { $0 + forward.sums[index * 4 + $1] * Double(slope[index * 4 + $1]) }
        }
        let gradients = SelectedAttentionGradient(sizes: sizes, scale: scale, workers: .all)(
            slope,
            .init(
                queries: queries,
                rows: rows,
                selection: selection,
                logSumExp: Tensor(trusted: forward.logSumExp).shaped([tokens, 2]),
                corrections: Tensor(trusted: corrections).shaped([tokens, 2])
            )
        )
        for (found, expected) in zip(gradients.sums.elements, forward.sums) {
            XCTAssertEqual(Double(found), expected, accuracy: 1e-6)
        }
        for token in 0..<tokens {
            let attention = (0..<3).map { gradients.attention[token * 3 + $0] }
            XCTAssertEqual(attention.reduce(0, +), 1, accuracy: 1e-6)
            XCTAssertEqual(attention.filter { $0 > 0 }.count, sets[token].count)
        }
        CentralDifferences(inputs: [queries, rows].map(\.doubles)) { [self] in
            dot(selected($0[0], $0[1], sets).sums, slope)
        }.check([gradients.queries, gradients.rows])
    }

    /// Two heads over the latent rows of a set.
    private func selected(
        _ queries: [Double],
        _ rows: [Double],
        _ sets: [[Int32]]
    ) -> (sums: [Double], logSumExp: [Double]) {
        var (sums, logSumExp) = ([Double](), [Double]())
        for (token, set) in sets.enumerated() {
            for head in 0..<2 {
                let start = (token * 2 + head) * 6
                let scores = set.map { key in
                    Double(scale)
                        * (0..<6).reduce(0.0) { $0 + queries[start + $1] * rows[Int(key) * 6 + $1] }
                }
                logSumExp.append(log(scores.reduce(0) { $0 + exp($1) }))
                let weights = Definitions.softmax(scores)
                sums += (0..<4).map { column in
                    zip(set, weights).reduce(0) { $0 + $1.1 * rows[Int($1.0) * 6 + column] }
                }
            }
        }
        return (sums, logSumExp)
    }

    func testIndexerLossOverVisibleAndSelectedTokens() throws {
        let (tokens, heads, width) = (7, 2, 4)
        var generator = SeededGenerator(seed: 3)
        let queries = generator.tensor([tokens, heads, width])
        let keys = generator.tensor([tokens, width])
        let weights = generator.tensor([tokens, heads])
        let sets = (0..<tokens).map { token in
            token < 3 ? Array(0...Int32(token)) : [0, Int32(token) - 1, Int32(token)]
        }
        let gradient = IndexerLossGradient(heads: heads, headDim: width, weight: 0.5, workers: .all)
        let operands = IndexerLossGradient.Operands(queries: queries, keys: keys, weights: weights)
        for isSparse in [false, true] {
            let domain = isSparse ? sets : (0..<tokens).map { Array(0...Int32($0)) }
            let target = domain.map { set in
                Definitions.softmax(set.indices.map { Double(($0 * 7 + set.count * 3) % 5) })
            }
            let result: IndexerLossGradient.Result
            if isSparse {
                let selection = try TokenSelection(
                    positions: sets.flatMap { $0 + [Int32](repeating: -1, count: 3 - $0.count) },
                    queryTokens: tokens,
                    slots: 3
                )
                let attention = target.flatMap { $0 + [Double](repeating: 0, count: 3 - $0.count) }
                result = gradient.overSelected(
                    operands,
                    selection,
                    attention: Tensor(trusted: attention).shaped([tokens, 3])
                )
            } else {
                result = gradient.overVisible(operands) { range, output in
                    output.fill(0)
                    for (row, token) in range.enumerated() {
                        for (key, share) in target[token].enumerated() { output[row][key] = Float(share) }
                    }
                }
            }
            func losses(_ inputs: [[Double]]) -> [Double] {
                domain.enumerated().map { token, set in
                    let scores = set.map { key in
                        (0..<heads).reduce(0.0) { sum, head in
                            let logit = (0..<width).reduce(0.0) {
                                $0 + inputs[0][(token * heads + head) * width + $1]
                                    * inputs[1][Int(key) * width + $1]
                            }
                            return sum + inputs[2][token * heads + head] * max(logit, 0)
                        } / Double(heads * width).squareRoot()
                    }
                    return zip(target[token], Definitions.softmax(scores)).reduce(0) {
                        $0 + $1.0 * (log($1.0) - log($1.1))
                    }
                }
            }
            let inputs = [queries, keys, weights].map(\.doubles)
            for (found, expected) in zip(result.losses.elements, losses(inputs)) {
                XCTAssertEqual(Double(found), expected, accuracy: 1e-6)
            }
            CentralDifferences(inputs: inputs) { 0.5 * losses($0).reduce(0, +) }
                .check([result.queries, result.keys, result.weights])
        }
    }
}

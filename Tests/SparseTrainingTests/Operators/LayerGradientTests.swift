import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Linear layers, norms, feed-forward networks and cross-entropy.
final class LayerGradientTests: XCTestCase {
    func testLinear() {
        var generator = SeededGenerator(seed: 1)
        let (x, weight, slope) = (
            generator.tensor([3, 5]), generator.tensor([4, 5]), generator.tensor([3, 4])
        )
        let gradients = Operators.Linear.backward(slope, input: x, weight: weight)
        CentralDifferences(inputs: [x.doubles, weight.doubles]) {
            dot(Definitions.linear($0[0], $0[1], columns: 5), slope)
        }.check([gradients.input, gradients.weight])
    }

    func testRootMeanSquareNorm() {
        var generator = SeededGenerator(seed: 2)
        let (x, weight, slope) = (generator.tensor([3, 6]), generator.tensor([6]), generator.tensor([3, 6]))
        let gradients = Operators.RootMeanSquareNorm.backward(
            slope,
            input: x,
            norm: RMSNorm(weight: weight, epsilon: 1e-2)
        )
        CentralDifferences(inputs: [x.doubles, weight.doubles]) { inputs in
            let rows = (0..<3).flatMap { row -> [Double] in
                let line = Array(inputs[0][row * 6..<(row + 1) * 6])
                let square = line.reduce(0) { $0 + $1 * $1 } / 6
                return line.indices.map {
                    inputs[1][$0] * line[$0] / (square + Double(Float(1e-2))).squareRoot()
                }
            }
            return dot(rows, slope)
        }.check([gradients.input, gradients.weight])
    }

    func testLayerNorm() throws {
        var generator = SeededGenerator(seed: 3)
        let (x, slope) = (generator.tensor([3, 6]), generator.tensor([3, 6]))
        let (weight, bias) = (generator.tensor([6]), generator.tensor([6]))
        let gradients = Operators.CenteredNorm.backward(
            slope,
            input: x,
            norm: try LayerNorm(weight: weight, bias: bias, epsilon: 1e-2)
        )
        CentralDifferences(inputs: [x.doubles, weight.doubles, bias.doubles]) { inputs in
            let rows = (0..<3).flatMap { row -> [Double] in
                let line = Array(inputs[0][row * 6..<(row + 1) * 6])
                let mean = line.reduce(0, +) / 6
                let variance = line.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / 6
                let factor = 1 / (variance + Double(Float(1e-2))).squareRoot()
                return line.indices.map { (line[$0] - mean) * factor * inputs[1][$0] + inputs[2][$0] }
            }
            return dot(rows, slope)
        }.check([gradients.input, gradients.weight, gradients.bias])
    }

    func testRotation() throws {
        var generator = SeededGenerator(seed: 4)
        let (x, slope) = (generator.tensor([3, 2, 7]), generator.tensor([3, 2, 7]))
        let rope = try RotaryEmbedding(
            inverseFrequencies: [1, 0.25],
            rotationScale: 1.25
        )
        for layout in [RopeLayout.interleaved, .halfSplit] {
            let rotation = try rope.rotation(at: 5..<8)
            var gradient = slope
            try rope.rotate(&gradient, at: 2, by: rotation.transposed, layout: layout)
            CentralDifferences(inputs: [x.doubles]) { inputs in
                var turned = inputs[0]
                for row in 0..<6 {
                    for pair in 0..<2 {
                        let angle = Double(Float(5 + row / 2) * rope.inverseFrequencies[pair])
                        let first = row * 7 + 2 + (layout == .interleaved ? 2 * pair : pair)
                        let second = first + (layout == .interleaved ? 1 : 2)
                        let (a, b) = (inputs[0][first], inputs[0][second])
                        turned[first] = 1.25 * (a * cos(angle) - b * sin(angle))
                        turned[second] = 1.25 * (b * cos(angle) + a * sin(angle))
                    }
                }
                return dot(turned, slope)
            }.check([gradient])
        }
    }

    func testFeedForwardWithAndWithoutRowWeights() {
        var generator = SeededGenerator(seed: 5)
        let (x, slope) = (generator.tensor([3, 4]), generator.tensor([3, 4]))
        let weights = Operators.FeedForward.Weights(
            gate: generator.tensor([5, 4]),
            up: generator.tensor([5, 4]),
            down: generator.tensor([4, 5])
        )
        let rowWeights = generator.tensor([3])
        for weighted in [false, true] {
            let forward = Operators.FeedForward.forward(
                x,
                weights,
                rowWeights: weighted ? rowWeights.elements : nil
            )
            let gradients = Operators.FeedForward.backward(slope, forward.trace, weights)
            let inputs = [x, weights.gate, weights.up, weights.down].map(\.doubles)
            let differences = CentralDifferences(inputs: inputs + (weighted ? [rowWeights.doubles] : [])) {
                let gate = Definitions.linear($0[0], $0[1], columns: 4)
                let up = Definitions.linear($0[0], $0[2], columns: 4)
                let inner = zip(gate, up).map { Definitions.silu($0) * $1 }
                let rows = Definitions.linear(inner, $0[3], columns: 5)
                let factors = $0.count > 4 ? $0[4] : [1, 1, 1]
                return dot(rows.enumerated().map { $1 * factors[$0 / 4] }, slope)
            }
            let found = [
                gradients.input, gradients.weights.gate, gradients.weights.up, gradients.weights.down,
            ]
            let rowGradients = Tensor(trusted: gradients.rowWeights.map(Double.init))
            differences.check(found + (weighted ? [rowGradients] : []))
        }
    }

    func testCrossEntropy() {
        var generator = SeededGenerator(seed: 6)
        let (x, weight) = (generator.tensor([4, 3]), generator.tensor([7, 3]))
        let targets = [(2, 0.5), (6, 0), (0, 1), (2, 2)].map {
            Operators.CrossEntropy.Target(token: $0.0, weight: Float($0.1))
        }
        let result = Operators.CrossEntropy.run(x, weight, targets: targets)
        func losses(_ inputs: [[Double]]) -> [Double] {
            let logits = Definitions.linear(inputs[0], inputs[1], columns: 3)
            return targets.enumerated().map { row, target in
                -log(Definitions.softmax(Array(logits[row * 7..<(row + 1) * 7]))[target.token])
            }
        }
        for (found, expected) in zip(result.losses, losses([x.doubles, weight.doubles])) {
            XCTAssertEqual(Double(found), expected, accuracy: 1e-6)
        }
        CentralDifferences(inputs: [x.doubles, weight.doubles]) {
            zip(losses($0), targets).reduce(0) { $0 + $1.0 * Double($1.1.weight) }
        }.check([result.input, result.weight])
    }

    func testRouterWeights() {
        var generator = SeededGenerator(seed: 7)
        let (logits, slopes) = (generator.tensor([2, 4]), generator.tensor([2, 2]))
        let chosen = [[0, 3], [1, 2]]
        func sigmoid(_ x: Double) -> Double { 1 / (1 + exp(-x)) }
        let scores = Tensor(trusted: logits.doubles.map(sigmoid)).shaped([2, 4])
        for normalizes in [false, true] {
            let gradient = Operators.Routing.backward(
                (0..<2).map { token in [slopes[token * 2], slopes[token * 2 + 1]] },
                choices: chosen.map { $0.map { ($0, 0) } },
                scores: scores,
                rule: .init(expertsPerToken: 2, groups: 1, keptGroups: 1, normalizes: normalizes, scale: 2.5),
                scoreGradients: nil
            )
            CentralDifferences(inputs: [logits.doubles]) { inputs in
                let weights = chosen.enumerated().flatMap { token, experts -> [Double] in
                    let scores = experts.map { sigmoid(inputs[0][token * 4 + $0]) }
                    return scores.map { 2.5 * $0 / (normalizes ? scores.reduce(0, +) : 1) }
                }
                return dot(weights, slopes)
            }.check([gradient])
        }
    }
}

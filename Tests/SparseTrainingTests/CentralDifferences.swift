import Foundation
import SparseAttention
import XCTest

/// Compares gradients with central differences of the operator's definition, in `Double`.
struct CentralDifferences {
    /// The operator's inputs, flat.
    let inputs: [[Double]]
    /// A scalar of them: usually the result times fixed numbers, summed.
    let value: ([[Double]]) -> Double

    /// The step: differences lose half the digits of `Double`, and so keep more than float32 has.
    private static let step = 1e-5

    /// Checks every element of every input.
    ///
    /// - Parameters:
    ///   - gradients: of the inputs, in their order.
    ///   - bound: the largest error, as a share of the gradient's largest element.
    ///   - file: where the check stands.
    ///   - line: where the check stands.
    func check(
        _ gradients: [Tensor],
        bound: Double = 2e-6,
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        XCTAssertEqual(gradients.map(\.count), inputs.map(\.count), file: file, line: line)
        for (index, gradient) in gradients.enumerated() {
            let expected = inputs[index].indices.map { slope(of: index, $0) }
            let largest = expected.reduce(0) { max($0, abs($1)) }
            XCTAssertGreaterThan(largest, 0, "input \(index) has no influence", file: file, line: line)
            for (element, (found, slope)) in zip(gradient.elements, expected).enumerated() {
                XCTAssertEqual(
                    Double(found),
                    slope,
                    accuracy: bound * largest,
                    "input \(index), element \(element)",
                    file: file,
                    line: line
                )
            }
        }
    }

    private func slope(of input: Int, _ element: Int) -> Double {
        var (above, below) = (inputs, inputs)
        above[input][element] += Self.step
        below[input][element] -= Self.step
        return (value(above) - value(below)) / (2 * Self.step)
    }
}

extension Tensor {
    /// The elements in `Double`.
    var doubles: [Double] { elements.map(Double.init) }
}

/// The sum of products: turns a result into a scalar whose gradient is `weights`.
func dot(_ result: [Double], _ weights: Tensor) -> Double {
    zip(result, weights.doubles).reduce(0) { $0 + $1.0 * $1.1 }
}

/// Definitions of what operators compute, in `Double`, for flat row-major matrices.
enum Definitions {
    /// `x · weightᵀ`.
    static func linear(_ x: [Double], _ weight: [Double], columns: Int) -> [Double] {
        let rows = weight.count / columns
        return (0..<x.count / columns).flatMap { row in
            (0..<rows).map { output in
                (0..<columns).reduce(0) { $0 + x[row * columns + $1] * weight[output * columns + $1] }
            }
        }
    }

    static func silu(_ x: Double) -> Double { x / (1 + exp(-x)) }

    /// The softmax of a row.
    static func softmax(_ row: [Double]) -> [Double] {
        let largest = row.max() ?? 0
        let weights = row.map { exp($0 - largest) }
        let sum = weights.reduce(0, +)
        return weights.map { $0 / sum }
    }
}

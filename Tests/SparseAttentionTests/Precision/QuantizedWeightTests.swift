import SparseAttention
import TestSupport
import XCTest

final class QuantizedWeightTests: XCTestCase {
    private let shapes = [(1, 1), (3, 129), (129, 3), (130, 131), (128, 128)]

    func testRaggedBlocksHaveTheirScale() throws {
        for (rows, columns) in shapes {
            let weight = try randomWeight(rows: rows, columns: columns)
            let values = weight.dequantized()
            XCTAssertEqual(values.shape, Shape(trusted: [rows, columns]))
            let blockColumns = (columns + 127) / 128
            for row in 0..<rows {
                for column in 0..<columns {
                    let code = Float8E4M3(bitPattern: weight.codes[row * columns + column]).float
                    let scale = weight.scales[row / 128 * blockColumns + column / 128]
                    guard values[row * columns + column] != code * scale else { continue }
                    XCTFail("\(rows)x\(columns) at \(row), \(column)")
                }
            }
        }
    }

    func testProductsMatchTheReference() throws {
        for (rows, columns) in shapes {
            let weight = try randomWeight(rows: rows, columns: columns)
            var generator = SeededGenerator(seed: 9)
            let tokens = rows == 1 ? 0 : 2
            let inputs = try QuantizedRows(
                quantizing: generator.tensor(Shape(trusted: [tokens, columns]), magnitude: 5),
                format: .float32
            )
            let output = try weight.apply(to: inputs)
            XCTAssertEqual(output.shape, Shape(trusted: [tokens, rows]))
            let plain = PlainLoops.product(
                inputs.dequantized().elements,
                transposed: weight.dequantized().elements,
                depth: columns
            )
            assertAccurate(output, plain: plain, reference: reference(weight, inputs), "\(rows)x\(columns)")
        }
    }

    func testRefusals() throws {
        let weight = try randomWeight(rows: 2, columns: 3)
        assertThrows(.dimensionMismatch(.columns, argument: "inputs", expected: 3, found: 4)) {
            _ = try weight.apply(to: QuantizedRows(rows: 1, columns: 4, codes: [0, 0, 0, 0], scales: [1]))
        }
        assertThrows(.shapeMismatch(argument: "codes", expected: [2, 3], found: [5])) {
            _ = try QuantizedWeight(rows: 2, columns: 3, codes: [0, 0, 0, 0, 0], scales: [1])
        }
        assertThrows(.shapeMismatch(argument: "scales", expected: [2, 1], found: [1])) {
            let codes = [UInt8](repeating: 0, count: 129)
            _ = try QuantizedWeight(rows: 129, columns: 1, codes: codes, scales: [1])
        }
    }

    /// The product of the numbers that codes and scales stand for, in `Double`.
    private func reference(_ weight: QuantizedWeight, _ inputs: QuantizedRows) -> [Double] {
        let blocks = inputs.blocks
        var (codes, weights) = ([Double](), [Double]())
        for (index, code) in inputs.codes.enumerated() {
            let scale = inputs.scales[index / weight.columns * blocks + index % weight.columns / 128]
            codes.append(Double(Float8E4M3(bitPattern: code).float) * Double(scale))
        }
        for (index, code) in weight.codes.enumerated() {
            let scale = weight.scales[index / weight.columns / 128 * blocks + index % weight.columns / 128]
            weights.append(Double(Float8E4M3(bitPattern: code).float) * Double(scale))
        }
        return (0..<inputs.rows * weight.rows).map { index in
            let (row, output) = (index / weight.rows * weight.columns, index % weight.rows * weight.columns)
            return (0..<weight.columns).reduce(0.0) { $0 + codes[row + $1] * weights[output + $1] }
        }
    }

    private func randomWeight(rows: Int, columns: Int) throws -> QuantizedWeight {
        var generator = SeededGenerator(seed: UInt64(rows * 1000 + columns))
        let codes = (0..<rows * columns).map { _ in Float8E4M3(generator.uniform() * 448).bitPattern }
        let scales = (0..<(rows + 127) / 128 * ((columns + 127) / 128)).map { _ in
            generator.uniform().magnitude * 0x1p-8 + 0x1p-12
        }
        return try QuantizedWeight(rows: rows, columns: columns, codes: codes, scales: scales)
    }
}

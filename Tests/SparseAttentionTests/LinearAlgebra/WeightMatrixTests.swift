import SparseAttention
import TestSupport
import XCTest

final class WeightMatrixTests: XCTestCase {
    private let formats = StoredFormat.allCases

    func testWideningIsExact() throws {
        for format in formats {
            let (weight, values) = try stored(format, rows: 7, columns: 13, seed: 1)
            XCTAssertEqual(weight.widened().elements, values, "\(format)")
            XCTAssertEqual(weight.rows(2..<5).widened().elements, Array(values[26..<65]), "\(format)")
            XCTAssertEqual(weight.rows(3..<3).widened().count, 0)
            XCTAssertEqual(weight.byteCount, 91 * weight.format.byteCount)
        }
    }

    func testPartsOfAScaledWeightKeepTheirScales() throws {
        let (weight, values) = try stored(.float8, rows: 150, columns: 130, seed: 3)
        XCTAssertEqual(weight.widened().elements, values)
        let part = weight.rows(100..<140)
        XCTAssertEqual(part.widened().elements, Array(values[13_000..<18_200]))
        XCTAssertEqual(part.rows(20..<40).widened().elements, Array(values[15_600..<18_200]))
        var generator = SeededGenerator(seed: 3)
        let input = generator.tensor([1, 130])
        let (whole, product) = (weight.apply(to: input, workers: .one), part.apply(to: input, workers: .one))
        XCTAssertEqual(product.elements, Array(whole.elements[100..<140]))
    }

    func testElementsBetweenAddressesAreCopied() throws {
        for format in formats {
            let (weight, values) = try stored(format, rows: 5, columns: 3, seed: 2, misaligned: true)
            XCTAssertEqual(weight.widened().elements, values, "\(format)")
        }
    }

    func testCopiesATensor() throws {
        let tensor = try Tensor([1, 2, 3, 4, 5, 6], shape: [2, 3])
        XCTAssertEqual(WeightMatrix(tensor).widened(), tensor)
    }

    func testProductsMatchTheReference() throws {
        for format in formats {
            for each in MatrixCase.all where each.depth > 0 {
                let (weight, values) = try stored(
                    format,
                    rows: each.columns,
                    columns: each.depth,
                    seed: each.seed
                )
                let inputs = each.factors.left
                let output = weight.apply(to: inputs, workers: .all)
                XCTAssertEqual(output.shape, [each.rows, each.columns])
                assertAccurate(
                    output,
                    plain: PlainLoops.product(inputs.elements, transposed: values, depth: each.depth),
                    reference: PlainLoops.exactProduct(
                        inputs.elements,
                        transposed: values,
                        depth: each.depth
                    ),
                    "\(format) \(each)"
                )
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        var generator = SeededGenerator(seed: 4)
        for format in formats {
            let (weight, _) = try stored(format, rows: 1_100, columns: 5, seed: 5)
            for rows in [1, 3] {
                let inputs = generator.tensor(Shape(trusted: [rows, 5]))
                try assertSameForAnyWorkers("\(format) \(rows)") { [weight.apply(to: inputs, workers: $0)] }
            }
        }
    }

    func testColumnsOfInputsAndOutputs() throws {
        var generator = SeededGenerator(seed: 6)
        let inputs = generator.integers([3, 8])
        let weight = generator.integers([2, 4])
        var output = Tensor(repeating: -9, shape: [3, 5])
        output.withMutableMatrix { output in
            inputs.withMatrix {
                WeightMatrix(weight).apply(to: $0.columns(2..<6), into: output.columns(1..<3), workers: .one)
            }
        }
        let expected = PlainLoops.product(
            inputs.columns(2..<6).elements,
            transposed: weight.elements,
            depth: 4
        )
        XCTAssertEqual(output.columns(1..<3).elements, expected)
        XCTAssertEqual(output.columns(0..<1).elements, [-9, -9, -9])
    }
}

import SparseAttention
import TestSupport
import XCTest

/// Linear layers whose inputs and weights are multiplied in bfloat16.
final class RoundedProductTests: XCTestCase {
    func testProductsMatchTheReferenceOfRoundedFactors() throws {
        let cases = MatrixCase.all + MatrixCase.blocks
        assertDistinct(cases)
        for format in StoredFormat.allCases {
            for each in cases where each.depth > 0 {
                try check(each, in: format)
            }
        }
    }

    private func check(_ each: MatrixCase, in format: StoredFormat) throws {
        let (weight, values) = try stored(
            format,
            rows: each.columns,
            columns: each.depth,
            seed: each.seed
        )
        let inputs = each.factors.left
        let output = weight.apply(to: inputs, products: .bfloat16, workers: .all)
        XCTAssertEqual(output.shape, [each.rows, each.columns])
        // Stored bfloat16 does not change; E4M3 codes enter exactly and meet their scale in float32.
        let right = format == .float8 ? values : values.map { BFloat16($0).float }
        let left = inputs.elements.map { BFloat16($0).float }
        assertAccurate(
            output,
            plain: PlainLoops.product(left, transposed: right, depth: each.depth),
            reference: PlainLoops.exactProduct(left, transposed: right, depth: each.depth),
            "\(format) \(each)"
        )
    }

    func testIntegersAreExact() throws {
        var generator = SeededGenerator(seed: 1)
        let (inputs, weight) = (generator.integers([7, 53]), generator.integers([50, 53]))
        let output = WeightMatrix(weight).apply(to: inputs, products: .bfloat16, workers: .all)
        XCTAssertEqual(
            output.elements,
            PlainLoops.product(inputs.elements, transposed: weight.elements, depth: 53)
        )
    }

    func testWithoutColumnsAllIsZero() {
        let weight = WeightMatrix(Tensor(repeating: 1, shape: [3, 0]))
        let output = weight.apply(
            to: Tensor(repeating: 1, shape: [2, 0]),
            products: .bfloat16,
            workers: .all
        )
        XCTAssertEqual(output, Tensor(repeating: 0, shape: [2, 3]))
    }

    func testARowDoesNotDependOnTheOthers() throws {
        var generator = SeededGenerator(seed: 2)
        for format in StoredFormat.allCases {
            let (weight, _) = try stored(format, rows: 100, columns: 515, seed: 3)
            // Few rows are each summed as one alone; more than that, in the order of panels.
            let few = WeightMatrix.fewInputs
            for (count, parts) in [(few, [0..<1, 0..<2, 7..<few]), (3 * few, [0..<few + 1, few..<3 * few])] {
                let inputs = generator.tensor([count, 515])
                let whole = weight.apply(to: inputs, products: .bfloat16, workers: .all)
                for rows in parts {
                    let alone = weight.apply(to: try inputs.slice(rows), products: .bfloat16, workers: .all)
                    assertSameBits(alone, try whole.slice(rows), "\(format) \(rows) of \(count)")
                }
                let part = weight.rows(30..<60).apply(to: inputs, products: .bfloat16, workers: .all)
                assertSameBits(part, whole.columns(30..<60), "\(format)")
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        var generator = SeededGenerator(seed: 4)
        for format in StoredFormat.allCases {
            let (weight, _) = try stored(format, rows: 500, columns: 19, seed: 5)
            for rows in [1, 150] {
                let inputs = generator.tensor(Shape(trusted: [rows, 19]))
                try assertSameForAnyWorkers("\(format) \(rows)") {
                    [weight.apply(to: inputs, products: .bfloat16, workers: $0)]
                }
            }
        }
    }

    func testOnlyItsColumnsAreWritten() throws {
        var generator = SeededGenerator(seed: 6)
        let inputs = generator.integers([3, 8])
        let weight = generator.integers([2, 4])
        var output = Tensor(repeating: -9, shape: [3, 5])
        output.withMutableMatrix { output in
            inputs.withMatrix {
                WeightMatrix(weight).applyRounded(
                    to: $0.columns(2..<6),
                    into: output.columns(1..<3),
                    workers: .one
                )
            }
        }
        let expected = PlainLoops.product(
            inputs.columns(2..<6).elements,
            transposed: weight.elements,
            depth: 4
        )
        XCTAssertEqual(output.columns(1..<3).elements, expected)
        XCTAssertEqual(
            output.columns(0..<1).elements + output.columns(3..<5).elements,
            [Float](repeating: -9, count: 9)
        )
    }
}

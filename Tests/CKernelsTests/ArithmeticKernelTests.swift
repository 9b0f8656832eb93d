import CKernels
import Foundation
import XCTest

/// Products, vectors and softmax against `Double`.
final class ArithmeticKernelTests: XCTestCase {
    /// What `count` roundings in any order may lose of a sum of products.
    private func bound(_ products: [Double]) -> Double {
        products.reduce(0) { $0 + abs($1) } * Double(products.count) * 0x1p-24 + 1e-37
    }

    func testDot() {
        for table in KernelTables.supported {
            for count in KernelTables.counts {
                var numbers = Numbers(seed: UInt64(count + 1))
                let (x, y) = (numbers.array(count + 1), numbers.array(count + 3))
                // One and three floats off the start: no alignment is needed.
                let found = x.withUnsafeBufferPointer { x in
                    y.withUnsafeBufferPointer { y in
                        count == 0
                            ? table.dot_f32(0, x.baseAddress, y.baseAddress)
                            : table.dot_f32(count, x.baseAddress.map { $0 + 1 }, y.baseAddress.map { $0 + 3 })
                    }
                }
                let products = (0..<count).map { Double(x[$0 + 1]) * Double(y[$0 + 3]) }
                let error = abs(Double(found) - products.reduce(0, +))
                XCTAssertLessThanOrEqual(error, bound(products), "\(KernelTables.name(of: table)) \(count)")
            }
        }
    }

    func testMatrixVectorInEveryFormat() throws {
        for table in KernelTables.supported {
            for columns in [0, 1, 15, 17, 33, 64, 100, 129, 257] {
                for rows in [0, 1, 2, 3, 4, 5, 7, 8, 9, 17] {
                    try checkMatrixVector(table, rows: rows, columns: columns)
                }
            }
        }
    }

    private func checkMatrixVector(_ table: dsa_kernels, rows: Int, columns: Int) throws {
        var numbers = Numbers(seed: UInt64(rows * 1000 + columns))
        let stride = columns + 3
        let x = numbers.array(columns + 1)
        let halves = (0..<rows * stride + 1).map { _ in UInt16(truncatingIfNeeded: numbers.bits() & 0xBBFF) }
        let codes = (0..<rows * stride + 1).map { _ in UInt8(truncatingIfNeeded: numbers.bits() & 0xBF) }
        let floats = numbers.array(rows * stride + 1)
        var (wide, half, eighth) = (floats, floats, floats)
        KernelTables.scalar.widen_bf16(wide.count, halves, &wide)
        KernelTables.scalar.widen_f16(half.count, halves, &half)
        KernelTables.scalar.widen_e4m3(eighth.count, codes, &eighth)
        let scales: [Float] = [0.5, 3, 0.25]  // of the blocks of 128 columns, no rounding
        for index in eighth.indices {
            eighth[index] *= scales[index % stride / Int(dsa_block_columns)]
        }
        typealias Product = (Int, Int, UnsafeMutablePointer<Float>) -> Void
        let formats: [(String, [Float], Product)] = [
            (
                "f32", floats,
                { first, rows, y in
                    floats.withUnsafeBufferPointer {
                        table.gemv_f32(
                            rows,
                            columns,
                            stride,
                            $0.baseAddress.map { $0 + first * stride },
                            x,
                            y
                        )
                    }
                }
            ),
            (
                "bf16", wide,
                { first, rows, y in
                    halves.withUnsafeBufferPointer {
                        table.gemv_bf16(
                            rows,
                            columns,
                            stride,
                            $0.baseAddress.map { $0 + first * stride },
                            x,
                            y
                        )
                    }
                }
            ),
            (
                "f16", half,
                { first, rows, y in
                    halves.withUnsafeBufferPointer {
                        table.gemv_f16(
                            rows,
                            columns,
                            stride,
                            $0.baseAddress.map { $0 + first * stride },
                            x,
                            y
                        )
                    }
                }
            ),
            (
                "e4m3", eighth,
                { first, rows, y in
                    codes.withUnsafeBufferPointer {
                        table.gemv_e4m3(
                            rows,
                            columns,
                            stride,
                            $0.baseAddress.map { $0 + first * stride },
                            scales,
                            x,
                            y
                        )
                    }
                }
            ),
        ]
        for (format, weights, multiply) in formats {
            let context = "\(KernelTables.name(of: table)) \(format) \(rows)×\(columns)"
            let found = try guarded(rows, filledWith: Float(-7), context) { multiply(0, rows, $0) }
            for row in 0..<rows {
                let products = (0..<columns).map { Double(weights[row * stride + $0]) * Double(x[$0]) }
                let error = abs(Double(found[row]) - products.reduce(0, +))
                XCTAssertLessThanOrEqual(error, bound(products), "\(context), row \(row)")
                let alone = try guarded(1, filledWith: Float(-7), context) { multiply(row, 1, $0) }
                XCTAssertEqual(
                    alone[0].bitPattern,
                    found[row].bitPattern,
                    "\(context): row \(row) alone differs"
                )
            }
        }
    }

    /// Several vectors at a time give what each gives alone, bit for bit.
    func testSeveralVectors() throws {
        for table in KernelTables.supported {
            for (rows, columns) in [(0, 32), (1, 32), (3, 0), (4, 64), (5, 96), (9, 160), (17, 32)] {
                for vectors in [0, 1, 2, 3, 5, 8] {
                    let context = "\(KernelTables.name(of: table)) \(rows)×\(columns), \(vectors) vectors"
                    var numbers = Numbers(seed: UInt64(rows * 1000 + columns + vectors))
                    let stride = columns + 5
                    let weights = (0..<rows * stride + 1).map { _ in
                        UInt16(truncatingIfNeeded: numbers.bits() & 0xBBFF)
                    }
                    let inputs = (0..<vectors).map { _ in numbers.array(columns) }
                    let arranged = try guarded(vectors * columns, filledWith: Float(-7), context) {
                        arranged in
                        for (index, input) in inputs.enumerated() {
                            table.arrange_bf16(columns, input, arranged + index * columns)
                        }
                    }
                    let found = try arranged.withUnsafeBufferPointer { arranged in
                        try guarded(vectors * rows, filledWith: Float(-7), context) { output in
                            let from = (0..<vectors).map { vector in
                                arranged.baseAddress.map { $0 + vector * columns }
                            }
                            let to = (0..<vectors).map { Optional(output + $0 * rows) }
                            table.gemv_many_bf16(rows, columns, stride, weights, vectors, from, to)
                        }
                    }
                    for (index, input) in inputs.enumerated() {
                        let alone = try guarded(rows, filledWith: Float(-7), context) {
                            table.gemv_bf16(rows, columns, stride, weights, input, $0)
                        }
                        XCTAssertEqual(
                            found[index * rows..<(index + 1) * rows].map(\.bitPattern),
                            alone.map(\.bitPattern),
                            "\(context): vector \(index)"
                        )
                    }
                }
            }
        }
    }

    func testVectors() throws {
        for table in KernelTables.supported {
            for count in KernelTables.counts {
                let context = "\(KernelTables.name(of: table)) \(count)"
                var numbers = Numbers(seed: UInt64(count + 9))
                let (x, y) = (numbers.array(count), numbers.array(count))
                let scaled = try guarded(count, filledWith: Float(-7), context) { target in
                    target.update(from: x, count: count)
                    table.scale_f32(count, 0.3, target)
                }
                XCTAssertEqual(scaled, x.map { $0 * 0.3 }, context)
                let kept = (0..<(count + 63) / 64).map { _ in
                    UInt64(numbers.bits()) << 32 | UInt64(numbers.bits())
                }
                let hidden = try guarded(count, filledWith: Float(-7), context) { target in
                    target.update(from: x, count: count)
                    table.hide_f32(count, kept, target)
                }
                XCTAssertEqual(
                    hidden,
                    x.enumerated().map { kept[$0 / 64] >> ($0 % 64) & 1 == 1 ? $1 : -.infinity },
                    context
                )
                let sum = try guarded(count, filledWith: Float(-7), context) { target in
                    target.update(from: y, count: count)
                    table.axpy_f32(count, 0.3, x, target)
                }
                for index in 0..<count {
                    XCTAssertEqual(sum[index], y[index] + 0.3 * x[index], accuracy: 2e-7, context)
                }
                var halves = [UInt16](repeating: 0, count: count)
                var wide = x
                KernelTables.scalar.narrow_bf16(count, x, &halves)
                KernelTables.scalar.widen_bf16(count, halves, &wide)
                let rounded = try guarded(count, filledWith: Float(-7), context) { target in
                    target.update(from: y, count: count)
                    table.axpy_bf16(count, 0.3, halves, target)
                }
                for index in 0..<count {
                    XCTAssertEqual(rounded[index], y[index] + 0.3 * wide[index], accuracy: 2e-7, context)
                }
                let gates = x.map { $0 * 30 }
                let gated = try guarded(count, filledWith: Float.nan, context) {
                    table.silu_multiply(count, gates, y, $0)
                }
                for index in 0..<count {
                    let gate = Double(gates[index])
                    let exact = gate / (1 + exp(-gate)) * Double(y[index])
                    XCTAssertEqual(Double(gated[index]), exact, accuracy: abs(exact) * 5e-7 + 1e-37, context)
                }
            }
        }
    }

    func testMaximum() {
        for table in KernelTables.supported {
            for count in KernelTables.counts {
                var numbers = Numbers(seed: UInt64(count + 3))
                var x = numbers.array(count)
                let context = "\(KernelTables.name(of: table)) \(count)"
                XCTAssertEqual(table.max_f32(count, x), x.max() ?? -.infinity, context)
                for place in Set([0, count / 2, count - 1]) where count > 0 {
                    let kept = x[place]
                    x[place] = .nan
                    XCTAssertTrue(table.max_f32(count, x).isNaN, "\(context): NaN at \(place)")
                    x[place] = .infinity
                    XCTAssertEqual(table.max_f32(count, x), .infinity, context)
                    x[place] = kept
                }
            }
        }
    }

    func testExponentialWithinTwoUnits() throws {
        let inputs = stride(from: Float(-104.5), through: 80, by: 0.0173).map { $0 }
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            var sum: Float = 0
            let found = try guarded(inputs.count, filledWith: Float.nan, name) {
                sum = table.exp_sum(inputs.count, 1, 0, inputs, $0)
            }
            for (input, value) in zip(inputs, found) {
                let exact = exp(Double(input))
                if input <= -104 || exact < 0x1p-126 {
                    XCTAssertLessThanOrEqual(Double(value), exact * 1.01, "\(name): exp(\(input))")
                    if input <= -104 { XCTAssertEqual(value, 0, "\(name): exp(\(input))") }
                } else {
                    let unit = Double(Float(exact).ulp)
                    XCTAssertLessThanOrEqual(abs(Double(value) - exact), 2 * unit, "\(name): exp(\(input))")
                }
            }
            let total = found.reduce(0.0) { $0 + Double($1) }
            XCTAssertEqual(Double(sum), total, accuracy: total * 1e-5, name)
        }
    }

    func testExponentialOfTailsHiddenAndBrokenScores() throws {
        for table in KernelTables.supported {
            for count in KernelTables.counts {
                let context = "\(KernelTables.name(of: table)) \(count)"
                let hidden = [Float](repeating: -.infinity, count: count)
                var sum: Float = -1
                let zeros = try guarded(count, filledWith: Float.nan, context) {
                    sum = table.exp_sum(count, 0.5, 3, hidden, $0)
                }
                XCTAssertEqual(zeros, [Float](repeating: 0, count: count), context)
                XCTAssertEqual(sum, 0, context)
                let ones = [Float](repeating: 4, count: count)
                let flat = try guarded(count, filledWith: Float.nan, context) {
                    sum = table.exp_sum(count, 0.5, 2, ones, $0)
                }
                XCTAssertEqual(flat, [Float](repeating: 1, count: count), context)
                XCTAssertEqual(sum, Float(count), context)
                guard count > 0 else { continue }
                var broken = ones
                broken[count - 1] = .nan
                let spread = try guarded(count, filledWith: Float(0), context) {
                    sum = table.exp_sum(count, 0.5, 2, broken, $0)
                }
                XCTAssertTrue(spread[count - 1].isNaN && sum.isNaN, context)
            }
        }
    }
}

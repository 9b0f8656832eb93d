import CKernels
import Foundation
import XCTest

/// Products of bfloat16: packing and formats bit for bit, sums against `Double`.
final class ProductKernelTests: XCTestCase {
    /// Sizes around one panel of columns, one tile of rows, one block of a transpose, and odd depths.
    private let sizes: [Factors.Size] = [
        (1, 1, 1), (1, 48, 2), (2, 49, 3), (3, 15, 31), (4, 16, 32), (5, 17, 33), (6, 31, 34), (7, 33, 64),
        (8, 47, 65), (9, 96, 66), (17, 97, 100), (0, 5, 4), (3, 0, 4), (3, 5, 0), (16, 100, 257),
    ]

    func testPackingFromColumnsAndFromRowsIsBitwise() throws {
        for size in sizes {
            let factors = Factors(size)
            let expected = factors.packed
            for table in KernelTables.supported {
                let context = "\(KernelTables.name(of: table)) \(size)"
                let fromColumns = try guarded(expected.count, filledWith: UInt16(7), context) { panels in
                    withRuns(of: factors.columns, length: size.k, count: size.n) {
                        table.pack_columns_bf16(size.n, size.k, $0, panels)
                    }
                }
                XCTAssertEqual(fromColumns, expected, "columns \(context)")
                let fromRows = try guarded(expected.count, filledWith: UInt16(7), context) { panels in
                    withRuns(of: factors.rows, length: size.n, count: size.k) {
                        table.pack_rows_bf16(size.k, size.n, $0, panels)
                    }
                }
                XCTAssertEqual(fromRows, expected, "rows \(context)")
            }
        }
    }

    func testSumsStayWithinTheirBound() throws {
        for size in sizes {
            let factors = Factors(size)
            var numbers = Numbers(seed: 5)
            let scales = numbers.array(size.n + 1)
            for table in KernelTables.supported {
                for (scaled, accumulating) in [(false, false), (false, true), (true, false), (true, true)] {
                    let context = "\(KernelTables.name(of: table)) \(size) \(scaled) \(accumulating)"
                    let found = try factors.product(
                        table,
                        scales: scaled ? scales : nil,
                        base: accumulating ? 3 : nil,
                        context
                    )
                    for row in 0..<size.m {
                        for column in 0..<size.n {
                            let terms = factors.terms(row, column)
                            let scale = scaled ? Double(scales[column]) : 1
                            let base = accumulating ? 3.0 : 0
                            let exact = base + scale * terms.reduce(0, +)
                            let size = base + abs(scale) * terms.reduce(0) { $0 + abs($1) }
                            let bound = Double(terms.count + 2) * 0x1p-24 * size
                            let error = abs(Double(found[row * factors.size.n + column]) - exact)
                            XCTAssertLessThanOrEqual(error, bound, "\(context) at \(row), \(column)")
                        }
                    }
                }
            }
        }
    }

    func testElementsDoNotDependOnTheSplit() throws {
        let size: Factors.Size = (17, 97, 100)
        let factors = Factors(size)
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let whole = try factors.product(table, scales: nil, base: nil, name)
            // Rows in parts, terms in parts, and columns from the second panel on.
            var parts = [Float](repeating: .nan, count: size.m * size.n)
            let stride = factors.panelStride
            for rows in [0..<3, 3..<16, 16..<17] {
                for pairs in [0..<1, 1..<33, 33..<50] {
                    for columns in [0..<48, 48..<97] {
                        let panel = columns.lowerBound / Int(DSA_PANEL_COLUMNS)
                        let start = panel * stride + pairs.lowerBound * 2 * Int(DSA_PANEL_COLUMNS)
                        factors.left.withUnsafeBufferPointer { left in
                            factors.packed.withUnsafeBufferPointer { panels in
                                parts.withUnsafeMutableBufferPointer { output in
                                    table.multiply_bf16(
                                        rows.count,
                                        columns.count,
                                        pairs.count,
                                        left.baseAddress.map {
                                            $0 + rows.lowerBound * factors.stride + 2 * pairs.lowerBound
                                        },
                                        factors.stride,
                                        panels.baseAddress.map { $0 + start },
                                        stride,
                                        nil,
                                        output.baseAddress.map {
                                            $0 + rows.lowerBound * size.n + columns.lowerBound
                                        },
                                        size.n,
                                        pairs.lowerBound > 0
                                    )
                                }
                            }
                        }
                    }
                }
            }
            XCTAssertEqual(parts.map(\.bitPattern), whole.map(\.bitPattern), name)
        }
    }

    func testNaNAndInfinityStayInTheirRowAndColumn() throws {
        var factors = Factors((9, 50, 34))
        factors.left[2 * factors.stride + 7] = 0x7FC0
        factors.left[5 * factors.stride + 33] = 0x7F80
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let found = try factors.product(table, scales: nil, base: nil, name)
            for (index, value) in found.enumerated() {
                switch index / 50 {
                case 2: XCTAssertTrue(value.isNaN, "\(name) \(index)")
                case 5: XCTAssertEqual(value.magnitude, .infinity, "\(name) \(index)")
                default: XCTAssertTrue(value.isFinite, "\(name) \(index)")
                }
            }
        }
    }

    func testRescaledCodesAreBitwise() throws {
        let codes = (0..<300).map { UInt8(truncatingIfNeeded: $0) }
        // Powers of two, one of them so small that results are subnormal, and a number between.
        for scale: Float in [1, 0.25, 0x1p40, 3.7, 0x1p-90, 0x1p-128] {
            for count in KernelTables.counts where count <= codes.count {
                var expected = [UInt16](repeating: 0, count: count)
                KernelTables.scalar.rescale_e4m3_bf16(count, scale, codes, &expected)
                for table in KernelTables.supported {
                    let context = "\(KernelTables.name(of: table)) \(scale) \(count)"
                    let found = try guarded(count, filledWith: UInt16(7), context) {
                        table.rescale_e4m3_bf16(count, scale, codes, $0)
                    }
                    for (index, pair) in zip(found, expected).enumerated() where codes[index] & 0x7F == 0x7F {
                        XCTAssertTrue(pair.0 & 0x7FFF > 0x7F80 && pair.1 & 0x7FFF > 0x7F80, context)
                    }
                    let differing = (0..<count).filter {
                        found[$0] != expected[$0] && codes[$0] & 0x7F != 0x7F
                    }
                    XCTAssertEqual(differing, [], context)
                }
            }
        }
        var code: UInt16 = 0
        KernelTables.scalar.rescale_e4m3_bf16(1, 3, [0x39], &code)  // 1.125 * 3 = 3.375
        XCTAssertEqual(Float(bitPattern: UInt32(code) << 16), 3.375)
    }

    func testExponentialsAreThoseOfFloat32Rounded() throws {
        var numbers = Numbers(seed: 9)
        for count in KernelTables.counts {
            let x = numbers.array(count).map { $0 * 20 }
            for table in KernelTables.supported {
                let context = "\(KernelTables.name(of: table)) \(count)"
                var wide = [Float](repeating: 0, count: count)
                let sum = table.exp_sum(count, 0.7, 3, x, &wide)
                var expected = [UInt16](repeating: 0, count: count)
                table.narrow_bf16(count, wide, &expected)
                var found: Float = 0
                let rounded = try guarded(count, filledWith: UInt16(7), context) {
                    found = table.exp_sum_bf16(count, 0.7, 3, x, $0)
                }
                XCTAssertEqual(rounded, expected, context)
                // The same terms in another order.
                XCTAssertEqual(found, sum, accuracy: sum * Float(count) * 0x1p-24, context)
            }
        }
    }
}

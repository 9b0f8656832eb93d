import CKernels
import XCTest

/// Gathered rows against sixteen columns, compared with sums in `Double`.
final class GatheredKernelTests: XCTestCase {
    private let lanes = Int(dsa_lanes)

    /// Sizes with tails in every direction.
    private let sizes = [
        (0, 5), (1, 1), (3, 16), (4, 17), (7, 33), (8, 48), (9, 79), (13, 80), (21, 81), (5, 200),
    ]

    /// The sizes, each with some numbers of lanes.
    private var cases: [(count: Int, columns: Int, used: Int)] {
        sizes.flatMap { size in [1, 4, 7, 8, 9, 14, 16].map { (size.0, size.1, $0) } }
    }

    /// Numbers of lanes that do not count are NaN: one that is used shows.
    private func poisoned(_ numbers: [Float], beyond used: Int, lane: (Int) -> Int) -> [Float] {
        numbers.enumerated().map { lane($0) < used ? $1 : .nan }
    }

    private func positions(_ count: Int, _ numbers: inout Numbers) -> [Int32] {
        Array((0..<Int32(2 * count + 1)).shuffled(using: &numbers).prefix(count))
    }

    private func assertClose(_ found: Float, _ terms: [Double], _ context: String) {
        let bound = terms.reduce(0) { $0 + abs($1) } * Double(terms.count) * 0x1p-24 + 1e-37
        XCTAssertEqual(Double(found), terms.reduce(0, +), accuracy: bound, context)
    }

    func testRowsTimesColumns() throws {
        for table in KernelTables.supported {
            for (count, columns, used) in cases {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns), \(used) lanes"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let rows = numbers.array((2 * count + 1) * stride)
                let matrix = poisoned(numbers.array(columns * lanes), beyond: used) { $0 % lanes }
                let found = try guarded(count * lanes, filledWith: Float(-7), context) {
                    table.gather_multiply_f32(count, chosen, columns, rows, stride, used, matrix, $0)
                }
                for row in 0..<count {
                    for lane in 0..<used {
                        let terms = (0..<columns).map {
                            Double(rows[Int(chosen[row]) * stride + $0]) * Double(matrix[$0 * lanes + lane])
                        }
                        assertClose(found[row * lanes + lane], terms, context)
                    }
                }
            }
        }
    }

    func testSumsOverRows() throws {
        for table in KernelTables.supported {
            for (count, columns, used) in cases {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns), \(used) lanes"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let rows = numbers.array((2 * count + 1) * stride)
                let weights = poisoned(numbers.array(count * lanes), beyond: used) { $0 % lanes }
                let before = numbers.array(lanes * columns)
                let found = try guarded(lanes * columns, filledWith: Float(-7), context) {
                    $0.update(from: before, count: before.count)
                    table.gather_add_f32(count, chosen, columns, rows, stride, used, weights, $0)
                }
                for lane in 0..<used {
                    for column in 0..<columns {
                        let terms = (0..<count).map {
                            Double(weights[$0 * lanes + lane])
                                * Double(rows[Int(chosen[$0]) * stride + column])
                        }
                        let index = lane * columns + column
                        assertClose(found[index], [Double(before[index])] + terms + [0], context)
                    }
                }
            }
        }
    }

    func testExponentialsDownTheLanes() throws {
        for table in KernelTables.supported {
            for (count, _, used) in cases {
                for special: Float? in [nil, .nan, -.infinity, 300] {
                    let context =
                        "\(KernelTables.name(of: table)) \(count), \(used) lanes, \(String(describing: special))"
                    var numbers = Numbers(seed: UInt64(count * 100 + used))
                    var scores = poisoned(numbers.array(count * lanes), beyond: used) { $0 % lanes }
                    if let special, count > 0 { scores[(count - 1) * lanes + used - 1] = special }
                    var (maxima, sums) = (
                        [Float](repeating: -7, count: lanes), [Float](repeating: -7, count: lanes)
                    )
                    let found = try guarded(scores.count, filledWith: Float(-7), context) {
                        $0.update(from: scores, count: scores.count)
                        table.exp_sum_lanes(count, used, 3, $0, &maxima, &sums)
                    }
                    for lane in 0..<used {
                        let column = (0..<count).map { scores[$0 * lanes + lane] }
                        let largest = 3 * KernelTables.scalar.max_f32(count, column)
                        XCTAssertEqual(maxima[lane].bitPattern, largest.bitPattern, context)
                        var expected = column
                        let sum = KernelTables.scalar.exp_sum(count, 3, largest, column, &expected)
                        for row in 0..<count {
                            assertSameExponential(found[row * lanes + lane], expected[row], context)
                        }
                        if sum.isNaN {
                            XCTAssertTrue(sums[lane].isNaN, context)
                        } else {
                            XCTAssertEqual(
                                sums[lane],
                                sum,
                                accuracy: sum * Float(count + 4) * 0x1p-23,
                                context
                            )
                        }
                    }
                }
            }
        }
    }

    private func assertSameExponential(_ found: Float, _ expected: Float, _ context: String) {
        if expected.isNaN {
            XCTAssertTrue(found.isNaN, context)
        } else {
            XCTAssertEqual(found, expected, accuracy: expected * 0x1p-21 + 1e-37, context)
        }
    }

    func testScatteredSums() throws {
        for table in KernelTables.supported {
            for (count, columns, used) in cases {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns), \(used) lanes"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let before = numbers.array((2 * count + 1) * stride)
                let weights = poisoned(numbers.array(count * lanes), beyond: used) { $0 % lanes }
                let matrix = poisoned(numbers.array(lanes * columns), beyond: used) { $0 / columns }
                let found = try guarded(before.count, filledWith: Float(-7), context) {
                    $0.update(from: before, count: before.count)
                    table.scatter_add_f32(count, chosen, columns, used, weights, matrix, $0, stride)
                }
                for row in 0..<2 * count + 1 {
                    let slot = chosen.firstIndex(of: Int32(row))
                    for column in 0..<stride {
                        let index = row * stride + column
                        guard let slot, column < columns else {
                            XCTAssertEqual(found[index], before[index], context)
                            continue
                        }
                        let terms = (0..<used).map {
                            Double(weights[slot * lanes + $0]) * Double(matrix[$0 * columns + column])
                        }
                        assertClose(found[index], [Double(before[index])] + terms, context)
                    }
                }
            }
        }
    }
}

extension Numbers: RandomNumberGenerator {
    /// Sixty-four bits.
    mutating func next() -> UInt64 {
        UInt64(bits()) << 32 | UInt64(bits())
    }
}

import CKernels
import XCTest

/// Gathered rows against sixteen columns, compared with sums in `Double`.
final class GatheredKernelTests: XCTestCase {
    private let lanes = Int(dsa_lanes)

    /// Sizes with tails in every direction.
    private let sizes = [
        (0, 5), (1, 1), (3, 16), (4, 17), (7, 33), (8, 48), (9, 79), (13, 80), (21, 81), (5, 200),
    ]

    private func positions(_ count: Int, _ numbers: inout Numbers) -> [Int32] {
        Array((0..<Int32(2 * count + 1)).shuffled(using: &numbers).prefix(count))
    }

    private func assertClose(_ found: Float, _ terms: [Double], _ context: String) {
        let bound = terms.reduce(0) { $0 + abs($1) } * Double(terms.count) * 0x1p-24 + 1e-37
        XCTAssertEqual(Double(found), terms.reduce(0, +), accuracy: bound, context)
    }

    func testRowsTimesColumns() throws {
        for table in KernelTables.supported {
            for (count, columns) in sizes {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns)"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let rows = numbers.array((2 * count + 1) * stride)
                let matrix = numbers.array(columns * lanes)
                let found = try guarded(count * lanes, filledWith: Float(-7), context) {
                    table.gather_multiply_f32(count, chosen, columns, rows, stride, matrix, $0)
                }
                for row in 0..<count {
                    for lane in 0..<lanes {
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
            for (count, columns) in sizes {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns)"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let rows = numbers.array((2 * count + 1) * stride)
                let (weights, before) = (numbers.array(count * lanes), numbers.array(lanes * columns))
                let found = try guarded(lanes * columns, filledWith: Float(-7), context) {
                    $0.update(from: before, count: before.count)
                    table.gather_add_f32(count, chosen, columns, rows, stride, weights, $0)
                }
                for lane in 0..<lanes {
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

    func testScatteredSums() throws {
        for table in KernelTables.supported {
            for (count, columns) in sizes {
                let context = "\(KernelTables.name(of: table)) \(count)×\(columns)"
                var numbers = Numbers(seed: UInt64(count * 1000 + columns))
                let (stride, chosen) = (columns + 3, positions(count, &numbers))
                let before = numbers.array((2 * count + 1) * stride)
                let (weights, matrix) = (numbers.array(count * lanes), numbers.array(lanes * columns))
                let found = try guarded(before.count, filledWith: Float(-7), context) {
                    $0.update(from: before, count: before.count)
                    table.scatter_add_f32(count, chosen, columns, weights, matrix, $0, stride)
                }
                for row in 0..<2 * count + 1 {
                    let slot = chosen.firstIndex(of: Int32(row))
                    for column in 0..<stride {
                        let index = row * stride + column
                        guard let slot, column < columns else {
                            XCTAssertEqual(found[index], before[index], context)
                            continue
                        }
                        let terms = (0..<lanes).map {
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

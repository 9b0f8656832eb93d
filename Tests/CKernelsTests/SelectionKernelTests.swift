import CKernels
import XCTest

/// The two steps of a selection against their definitions.
final class SelectionKernelTests: XCTestCase {
    private let special: [Float] = [
        .nan, -.nan, .infinity, -.infinity, 0, -0.0, 1, -1, .leastNonzeroMagnitude, -.leastNonzeroMagnitude,
        .greatestFiniteMagnitude, -.greatestFiniteMagnitude,
    ]

    func testRanksOrderAsScoresDo() throws {
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let ranks = try special.map { score in
                try above(0, in: [score], first: 0, table, name).ranks.first ?? 0
            }
            for (x, left) in zip(special, ranks) {
                XCTAssertEqual(left == 0, x.isNaN, name)
                for (y, right) in zip(special, ranks) where !x.isNaN && !y.isNaN {
                    XCTAssertEqual(left < right, x < y, "\(name): \(x) and \(y)")
                    XCTAssertEqual(left == right, x == y, "\(name): \(x) and \(y)")
                }
            }
        }
    }

    func testScoresAboveAFloor() throws {
        for count in KernelTables.counts {
            var numbers = Numbers(seed: UInt64(count + 3))
            let scores = (0..<count).map { index in
                let bits = numbers.bits()
                return bits % 3 == 0 ? special[Int(bits >> 8) % special.count] : Float(Int(bits >> 8) % 9 - 4)
            }
            let everything = try above(0, in: scores, first: 7, KernelTables.scalar, "scalar")
            XCTAssertEqual(
                everything.positions.map { Int($0) - 7 },
                scores.indices.filter { !scores[$0].isNaN }
            )
            let floors = Set(everything.ranks).sorted().enumerated().filter { $0.offset % 3 == 0 }.map(
                \.element
            )
            for floor in [0, 1, UInt32.max] + floors {
                let kept = everything.ranks.indices.filter { everything.ranks[$0] > floor }
                for table in KernelTables.supported {
                    let context = "\(KernelTables.name(of: table)) \(count) above \(floor)"
                    let found = try above(floor, in: scores, first: 7, table, context)
                    XCTAssertEqual(found.ranks, kept.map { everything.ranks[$0] }, context)
                    XCTAssertEqual(found.positions, kept.map { everything.positions[$0] }, context)
                }
            }
        }
    }

    func testKeepsTheHighestAndTheEarlierOfEquals() throws {
        for count in KernelTables.counts where count > 0 && count < 300 {
            for (kind, ranks) in rows(count) {
                for wanted in Set([1, 2, count / 3, count / 2, count - 1, count])
                where (1...count).contains(wanted) {
                    let order = ranks.indices.sorted {
                        ranks[$0] > ranks[$1] || (ranks[$0] == ranks[$1] && $0 < $1)
                    }
                    let kept = order.prefix(wanted).sorted()
                    for table in KernelTables.supported {
                        let context = "\(KernelTables.name(of: table)) \(wanted) of \(count), \(kind)"
                        var (found, positions) = (ranks, ranks.indices.map { Int32($0 * 3) })
                        found += [UInt32](repeating: 9, count: 16)
                        positions += [Int32](repeating: 9, count: 16)
                        let lowest = table.keep_highest(count, wanted, &found, &positions)
                        XCTAssertEqual(Array(found.prefix(wanted)), kept.map { ranks[$0] }, context)
                        XCTAssertEqual(positions.prefix(wanted).map { Int($0) / 3 }, kept, context)
                        XCTAssertEqual(lowest, kept.map { ranks[$0] }.min(), context)
                    }
                }
            }
        }
    }

    /// Ranks a bisection could get wrong, by name.
    private func rows(_ count: Int) -> [(String, [UInt32])] {
        var numbers = Numbers(seed: UInt64(count))
        return [
            ("random", (0..<count).map { _ in numbers.bits() }),
            ("few values", (0..<count).map { _ in numbers.bits() % 3 }),
            ("all equal", [UInt32](repeating: 77, count: count)),
            ("all highest", [UInt32](repeating: .max, count: count)),
            ("ascending", (0..<count).map { UInt32($0) }),
            ("highest and lowest", (0..<count).map { $0 % 2 == 0 ? .max : 1 }),
            ("neighbours", (0..<count).map { 0x8000_0000 - UInt32($0 % 2) }),
        ]
    }

    private func above(
        _ floor: UInt32,
        in scores: [Float],
        first: Int32,
        _ table: dsa_kernels,
        _ context: String
    ) throws -> (ranks: [UInt32], positions: [Int32]) {
        var positions: [Int32] = []
        var kept = 0
        let ranks = try guarded(scores.count + 16, filledWith: UInt32(5), context) { ranks in
            var places = [Int32](repeating: 5, count: scores.count + 16)
            kept = table.ranks_above(scores.count, scores, first, floor, ranks, &places)
            positions = places
        }
        return (Array(ranks.prefix(kept)), Array(positions.prefix(kept)))
    }
}

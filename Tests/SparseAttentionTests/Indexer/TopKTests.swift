import SparseAttention
import TestSupport
import XCTest

final class TopKTests: XCTestCase {
    private let counts = [1, 2, 7, 63, 100, 1_000]

    func testContract() throws {
        let topTwo = try TopK(2)
        XCTAssertEqual(topTwo.select([1, 3, 2]), [1, 2])
        XCTAssertEqual(topTwo.select([5, 5, 5, 5]), [0, 1])
        XCTAssertEqual(topTwo.select([0, -0.0, 0, -0.0]), [0, 1])
        XCTAssertEqual(topTwo.select([-0.0, -1, 0, -1]), [0, 2])
        XCTAssertEqual(topTwo.select([-1, -0.0, 0, 1]), [1, 3])
        XCTAssertEqual(topTwo.select([.nan, -.infinity, .nan, -5]), [1, 3])
        XCTAssertEqual(topTwo.select([.nan, .nan, .infinity, .nan]), [2])
        XCTAssertEqual(topTwo.select([.nan, -.nan, .nan]), [])
        XCTAssertEqual(topTwo.select([.infinity, 1, .infinity, .infinity]), [0, 2])
        XCTAssertEqual(topTwo.select([-.infinity, -.infinity, -.infinity]), [0, 1])
        XCTAssertEqual(topTwo.select([4]), [0])
        XCTAssertEqual(topTwo.select([.nan]), [])
        XCTAssertEqual(topTwo.select([]), [])
    }

    func testMatchesTheReferenceOnEveryKindOfRow() throws {
        for (name, scores) in rows {
            for count in counts {
                let topK = try TopK(count)
                XCTAssertEqual(topK.select(scores), topK.reference(scores), "\(name), \(count)")
            }
        }
    }

    func testSlotsBeyondTheChosenAreUnused() throws {
        for (name, scores) in rows {
            for (count, slotCount) in [(3, 9), (9, 3), (1_000, 1_000), (5, 0)] {
                let topK = try TopK(count)
                var slots = [Int32](repeating: 77, count: slotCount)
                scores.withUnsafeBufferPointer { scores in
                    var span = slots.mutableSpan
                    topK.select(scores.span, into: &span)
                }
                let expected = try slotCount == 0 ? [] : TopK(min(count, slotCount)).reference(scores)
                let unused = [Int32](repeating: TokenSelection.unused, count: slotCount - expected.count)
                XCTAssertEqual(slots, expected + unused, "\(name), \(count) of \(slotCount)")
            }
        }
    }

    func testSettings() throws {
        XCTAssertEqual(try TopK(3).count, 3)
        XCTAssertEqual(try TopK(.max).select([2, 1]), [0, 1])
        for count in [0, -1, .min] {
            assertThrows(.invalidSetting(name: "topK", found: "\(count)", expected: "at least 1")) {
                _ = try TopK(count)
            }
        }
    }

    /// Rows that a selection could get wrong, by name.
    private var rows: [(name: String, scores: [Float])] {
        var generator = SeededGenerator(seed: 1)
        let random = generator.tensor([257], magnitude: 10).elements
        let integers = generator.integers([257], in: -2...2).elements
        let ascending = (0..<131).map(Float.init)
        let plateau = (0..<200).map { $0 % 7 == 0 ? Float($0 % 3) : 0 }
        let signedZeros = (0..<100).map { $0 % 2 == 0 ? Float(0) : -0.0 }
        // Neighbours that differ in the lowest, middle and highest bits only: one for each pass of the narrowing.
        let lowBits = (0..<300).map { Float(bitPattern: 0x3F80_0000 + UInt32(($0 * 37) % 256)) }
        let middleBits = (0..<300).map { Float(bitPattern: 0x3F80_0000 + UInt32(($0 * 37) % 300) << 8) }
        let highBits = (0..<300).map { Float(bitPattern: UInt32(($0 * 7) % 300) << 20) }
        let patterns = (0..<300).map { _ in Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())) }
        let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -1, -.nan, .leastNonzeroMagnitude]
        let specials = (0..<257).map { _ in special[generator.integer(in: 0...8)] }
        return [
            ("random", random), ("integers", integers), ("ascending", ascending),
            ("descending", ascending.reversed()), ("negative", ascending.map { -$0 }), ("plateau", plateau),
            ("negative plateau", plateau.map { -$0 }), ("all equal", [Float](repeating: 2, count: 99)),
            ("zeros of both signs", signedZeros), ("low bits", lowBits),
            ("low bits, negative", lowBits.map { -$0 }),
            ("middle bits", middleBits), ("high bits", highBits), ("any bits", patterns),
            ("specials", specials),
            ("hidden", [Float](repeating: -.infinity, count: 64)),
            ("NaN", [Float](repeating: .nan, count: 64)),
            ("subnormal", (0..<64).map { Float(bitPattern: UInt32(($0 * 29) % 64)) }), ("one", [3]),
            ("none", []),
        ]
    }
}

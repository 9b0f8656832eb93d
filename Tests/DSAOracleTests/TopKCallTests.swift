import CDSAOracle
import SparseAttention
import TestSupport
import XCTest

final class TopKCallTests: XCTestCase {
    func testTheContract() throws {
        let nan = Float.nan
        let scores: [Float] = [
            1, 3, 3, 2, 3,
            nan, -0.0, 0, nan, -.infinity,
            nan, nan, nan, nan, nan,
        ]
        var indices = [Int32](repeating: -9, count: 9)
        assertAccepted(dsa_topk(scores, nil, nil, 3, 5, 3, &indices))
        XCTAssertEqual(indices, [1, 2, 4, 1, 2, 4, -1, -1, -1])
        assertAccepted(dsa_topk(scores, [2, 2, 1], [5, 4, 1], 3, 5, 3, &indices))
        XCTAssertEqual(indices, [2, 3, 4, 2, -1, -1, -1, -1, -1], "columns count from 0, not from start")
        indices = [-9, -9, -9]
        assertAccepted(dsa_topk([5, 5, 5, 5], [1], [4], 1, 4, 2, &indices))
        XCTAssertEqual(indices, [1, 2, -9], "nothing is written behind the row")
    }

    func testTheSwiftSelectionOfEachRange() throws {
        let (rows, columns, k) = (9, 300, 20)
        var generator = SeededGenerator(seed: 8)
        let scores = generator.integers([rows, columns]).elements
        let start = (0..<rows).map { Int32($0 * 17) }
        let end = (0..<rows).map { Int32(300 - $0 * 20) }
        var indices = [Int32](repeating: -9, count: rows * k)
        assertAccepted(dsa_topk(scores, start, end, Int64(rows), Int64(columns), Int64(k), &indices))
        for row in 0..<rows {
            let range = Int(start[row])..<max(Int(start[row]), Int(end[row]))
            let part = Array(scores[row * columns + range.lowerBound..<row * columns + range.upperBound])
            let chosen = try TopK(k).reference(part).map { $0 + start[row] }
            let padding = [Int32](repeating: -1, count: k - chosen.count)
            XCTAssertEqual(Array(indices[row * k..<(row + 1) * k]), chosen + padding, "row \(row)")
        }
    }

    func testRefusals() {
        let scores = [Float](repeating: 0, count: 6)
        var indices: [Int32] = [-9, -9]
        let bad = Int(DSA_ERROR_ARGUMENT)
        assertRefused(dsa_topk(nil, nil, nil, 2, 3, 1, &indices), bad, "dsa_topk: scores is NULL")
        assertRefused(dsa_topk(scores, nil, nil, 2, 3, 1, nil), bad, "dsa_topk: indices is NULL")
        assertRefused(dsa_topk(scores, nil, [1, 1], 2, 3, 1, &indices), bad, "dsa_topk: start is NULL")
        assertRefused(dsa_topk(scores, [1, 1], nil, 2, 3, 1, &indices), bad, "dsa_topk: end is NULL")
        assertRefused(dsa_topk(scores, [0, -1], [3, 3], 2, 3, 1, &indices), bad, "dsa_topk: start[1] is -1")
        assertRefused(dsa_topk(scores, [0, 0], [4, 3], 2, 3, 1, &indices), bad, "dsa_topk: end[0] is 4")
        for size in [-1, .min, Int64(Int32.max) + 1, .max] {
            assertRefused(dsa_topk(scores, nil, nil, size, 3, 1, &indices), bad, "dsa_topk: rows is \(size)")
            assertRefused(
                dsa_topk(scores, nil, nil, 2, size, 1, &indices),
                bad,
                "dsa_topk: columns is \(size)"
            )
            assertRefused(dsa_topk(scores, nil, nil, 2, 3, size, &indices), bad, "dsa_topk: k is \(size)")
        }
        assertRefused(dsa_topk(scores, nil, nil, 2, 3, 0, &indices), bad, "dsa_topk: k is 0")
        XCTAssertEqual(indices, [-9, -9], "a refused call writes nothing")
        assertAccepted(dsa_topk(nil, nil, nil, 0, 3, 1, nil))
        assertAccepted(dsa_topk(nil, nil, nil, 2, 0, 1, &indices))
        XCTAssertEqual(indices, [-1, -1])
    }
}

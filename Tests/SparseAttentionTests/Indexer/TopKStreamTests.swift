import SparseAttention
import TestSupport
import XCTest

/// A selection of pieces is that of the whole row.
final class TopKStreamTests: XCTestCase {
    func testPiecesOfEverySize() throws {
        for (name, scores) in rows(length: 300) {
            let topK = try TopK(11)
            let expected = topK.reference(scores)
            for piece in 1...scores.count {
                let stream = TopKStream(topK, slots: 11, candidates: scores.count)
                add(scores, to: stream, piece: piece)
                XCTAssertEqual(
                    stream.finish(slots: 11).filter { $0 >= 0 },
                    expected,
                    "\(name), pieces of \(piece)"
                )
            }
        }
    }

    /// Rows many times as long as the buffer, which holds 512 scores more than twice the chosen ones.
    func testRowsThatOverflowTheBuffer() throws {
        for (name, scores) in rows(length: 6_000) {
            for count in [1, 64, 700] {
                let topK = try TopK(count)
                let expected = topK.reference(scores)
                for piece in [64, 999, 6_000] {
                    let stream = TopKStream(topK, slots: count, candidates: scores.count)
                    add(scores, to: stream, piece: piece)
                    let found = stream.finish(slots: count).filter { $0 >= 0 }
                    XCTAssertEqual(found, expected, "\(name), \(count), pieces of \(piece)")
                }
            }
        }
    }

    func testMergingPartsEqualsTheWhole() throws {
        for (name, scores) in rows(length: 2_500) {
            for (count, part, room) in [(1, 700, 0), (90, 64, 0), (90, 1_250, 180), (2_000, 333, 9_999)] {
                let topK = try TopK(count)
                let merged = TopKStream(topK, slots: count, candidates: scores.count, room: room)
                for start in stride(from: 0, to: scores.count, by: part) {
                    let end = min(start + part, scores.count)
                    let stream = TopKStream(topK, slots: count, candidates: part)
                    add(Array(scores[start..<end]), to: stream, first: start)
                    merged.add(stream)
                }
                let found = merged.finish(slots: count).filter { $0 >= 0 }
                XCTAssertEqual(found, topK.reference(scores), "\(name), \(count), parts of \(part)")
            }
        }
    }

    func testAStreamBeginsAnew() throws {
        let topK = try TopK(2)
        let stream = TopKStream(topK, slots: 2, candidates: 3_000)
        add((0..<3_000).map(Float.init), to: stream, first: 0)
        XCTAssertEqual(stream.finish(slots: 2), [2_998, 2_999])
        stream.reset()
        add([-5, .nan], to: stream, first: 0)
        XCTAssertEqual(stream.finish(slots: 3), [0, -1, -1])
    }

    private func add(_ scores: [Float], to stream: TopKStream, piece: Int) {
        for start in stride(from: 0, to: scores.count, by: piece) {
            add(Array(scores[start..<min(start + piece, scores.count)]), to: stream, first: start)
        }
    }

    private func add(_ scores: [Float], to stream: TopKStream, first: Int) {
        scores.withUnsafeBufferPointer { stream.add($0.span, first: first) }
    }

    /// Orders that a running threshold could get wrong, by name.
    private func rows(length: Int) -> [(name: String, scores: [Float])] {
        var generator = SeededGenerator(seed: UInt64(length))
        let random = generator.tensor([length], magnitude: 10).elements
        let integers = generator.integers([length], in: -2...2).elements
        let special: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -1, -.nan]
        let ascending = (0..<length).map(Float.init)
        return [
            ("random", random), ("integers", integers), ("ascending", ascending),
            ("descending", ascending.reversed()),
            ("zeros of both signs", (0..<length).map { $0 % 3 == 0 ? -0.0 : 0 }),
            ("zeros, then one of each", (0..<length).map { $0 < length - 40 ? 0 : Float($0 % 3) - 1 }),
            ("steps", (0..<length).map { Float($0 / 100 % 7) }),
            ("specials", (0..<length).map { _ in special[generator.integer(in: 0...7)] }),
            ("hidden, then NaN", (0..<length).map { $0 < length / 2 ? -.infinity : .nan }),
        ]
    }
}

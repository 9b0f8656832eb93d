import Foundation
import SparseAttention
import TestSupport
import XCTest

final class RotaryEmbeddingTests: XCTestCase {
    private let lastPosition = 163_839  // of DeepSeek-V3.2

    func testFrequencies() throws {
        let rope = try RotaryEmbedding(dim: 8, theta: 10_000)
        assertClose(rope.inverseFrequencies, [1, 0.1, 0.01, 0.001], within: Tolerances.floor)
        XCTAssertEqual(rope.rotationScale, 1)
        XCTAssertEqual(try RotaryEmbedding(inverseFrequencies: [1, 2]).dim, 4)
    }

    func testTurnsComplexNumbers() throws {
        var generator = SeededGenerator(seed: 1)
        let positions = [0, 1, 2, 1_000, lastPosition]
        for layout in [RopeLayout.interleaved, .halfSplit] {
            for dim in [2, 6, 64] {
                let rope = try RotaryEmbedding(dim: dim, theta: 10_000)
                let vectors = generator.tensor(Shape(trusted: [positions.count, 3, dim + 5]))
                var turned = vectors
                try rope.rotate(&turned, at: 4, by: rope.rotation(at: positions), layout: layout)
                let expected = zip(vectors.rowArrays, positions.flatMap { [$0, $0, $0] }).flatMap {
                    reference($0, position: $1, offset: 4, rope, layout)
                }
                assertClose(turned.elements, expected, within: Tolerances.floor, "\(layout) \(dim)")
                assertSameBits(turned.columns(0..<4), vectors.columns(0..<4))
                assertSameBits(turned.columns(dim + 4..<dim + 5), vectors.columns(dim + 4..<dim + 5))
            }
        }
    }

    func testPositionZeroChangesNothing() throws {
        var generator = SeededGenerator(seed: 2)
        let rope = try RotaryEmbedding(dim: 8, theta: 10_000)
        let vectors = generator.tensor([1, 8])
        var turned = vectors
        try rope.rotate(&turned, by: rope.rotation(at: [0]), layout: .interleaved)
        XCTAssertEqual(turned, vectors)
    }

    func testLayoutsDifferByAPermutation() throws {
        var generator = SeededGenerator(seed: 3)
        let rope = try RotaryEmbedding(dim: 8, theta: 10_000)
        let rotation = try rope.rotation(at: [17])
        var pairs = generator.tensor([1, 8])
        let order = [0, 2, 4, 6, 1, 3, 5, 7]  // pairs (2i, 2i + 1) become (i, i + 4)
        var halves = try Tensor(order.map { pairs[$0] }, shape: [1, 8])
        try rope.rotate(&pairs, by: rotation, layout: .interleaved)
        try rope.rotate(&halves, by: rotation, layout: .halfSplit)
        XCTAssertEqual(halves.elements, order.map { pairs[$0] })
    }

    func testScoresDependOnDistance() throws {
        var generator = SeededGenerator(seed: 4)
        let rope = try RotaryEmbedding(dim: 16, theta: 10_000)
        let (query, key) = (generator.tensor([1, 16]), generator.tensor([1, 16]))
        for layout in [RopeLayout.interleaved, .halfSplit] {
            let scores = try [(5, 3), (105, 103), (2, 0)].map { positions in
                var (q, k) = (query, key)
                try rope.rotate(&q, by: rope.rotation(at: [positions.0]), layout: layout)
                try rope.rotate(&k, by: rope.rotation(at: [positions.1]), layout: layout)
                return PlainLoops.dot(q.elements[...], k.elements[...])
            }
            XCTAssertEqual(scores[1], scores[0], accuracy: Tolerances.rotatedScore)
            XCTAssertEqual(scores[2], scores[0], accuracy: Tolerances.rotatedScore)
        }
    }

    func testRotationScaleMultipliesCosineAndSine() throws {
        let plain = try RotaryEmbedding(inverseFrequencies: [0.5]).rotation(at: 3..<5)
        let scaled = try RotaryEmbedding(inverseFrequencies: [0.5], rotationScale: 2).rotation(at: 3..<5)
        XCTAssertEqual(plain.cosines.shape, [2, 1])
        XCTAssertEqual(scaled.cosines.elements, plain.cosines.elements.map { 2 * $0 })
        XCTAssertEqual(scaled.sines.elements, plain.sines.elements.map { 2 * $0 })
        XCTAssertEqual(plain.cosines[0], Float(cos(1.5)))
        XCTAssertEqual(plain.sines[1], Float(sin(2.0)))
    }

    func testNoPositions() throws {
        let rope = try RotaryEmbedding(dim: 4, theta: 10_000)
        var vectors = Tensor(repeating: 0, shape: [0, 2, 4])
        try rope.rotate(&vectors, by: rope.rotation(at: []), layout: .interleaved)
        XCTAssertEqual(vectors.shape, [0, 2, 4])
    }

    /// Multiplies pairs, read as complex numbers, by `e^(i · angle)` in `Double`.
    private func reference(
        _ vector: [Float],
        position: Int,
        offset: Int,
        _ rope: RotaryEmbedding,
        _ layout: RopeLayout
    ) -> [Double] {
        var turned = vector.map(Double.init)
        let half = rope.dim / 2
        for pair in 0..<half {
            let angle = Double(Float(position) * rope.inverseFrequencies[pair])
            let real = offset + (layout == .interleaved ? 2 * pair : pair)
            let imaginary = layout == .interleaved ? real + 1 : real + half
            let (a, b) = (Double(vector[real]), Double(vector[imaginary]))
            turned[real] = a * cos(angle) - b * sin(angle)
            turned[imaginary] = a * sin(angle) + b * cos(angle)
        }
        return turned
    }
}

// MARK: - Refusals

extension RotaryEmbeddingTests {
    func testRefusesSettings() {
        for dim in [-2, 0, 1, 7] {
            assertThrows(
                .invalidSetting(name: "rope dim", found: "\(dim)", expected: "an even number, at least 2")
            ) { _ = try RotaryEmbedding(dim: dim, theta: 10_000) }
        }
        for theta in [0, -1, .infinity, .nan] as [Double] {
            assertThrows(
                .invalidSetting(name: "rope theta", found: "\(theta)", expected: "a positive number")
            ) {
                _ = try RotaryEmbedding(dim: 4, theta: theta)
            }
        }
        assertThrows(.invalidSetting(name: "inverse frequencies", found: "none", expected: "at least one")) {
            _ = try RotaryEmbedding(inverseFrequencies: [])
        }
        for yarn in [
            YaRN(factor: 0.5, originalPositions: 4096), YaRN(factor: .nan, originalPositions: 4096),
            YaRN(factor: .infinity, originalPositions: 4096), YaRN(factor: 40, originalPositions: 0),
        ] {
            assertThrows(
                .invalidSetting(
                    name: "YaRN",
                    found: "factor \(yarn.factor), original positions \(yarn.originalPositions)",
                    expected: "a factor of at least 1 and a positive number of positions"
                )
            ) { _ = try RotaryEmbedding(dim: 4, theta: 10_000, yarn: yarn) }
        }
    }

    func testRefusesArguments() throws {
        let rope = try RotaryEmbedding(dim: 4, theta: 10_000)
        assertThrows(.positionOutOfRange(position: -1, allowed: 0..<Int.max)) {
            _ = try rope.rotation(at: [0, -1])
        }
        let rotation = try rope.rotation(at: 0..<3)
        func rotate(_ shape: Shape, at offset: Int = 0, by rotation: RotaryEmbedding.Rotation) throws {
            var vectors = Tensor(repeating: 0, shape: shape)
            try rope.rotate(&vectors, at: offset, by: rotation, layout: .interleaved)
        }
        for shape: Shape in [[2, 4], [2]] {
            assertThrows(.dimensionMismatch(.queryTokens, argument: "vectors", expected: 3, found: 2)) {
                try rotate(shape, by: rotation)
            }
        }
        assertThrows(.dimensionMismatch(.ropeDim, argument: "vectors", expected: 5, found: 4)) {
            try rotate([3, 4], at: 1, by: rotation)
        }
        assertThrows(.dimensionMismatch(.ropeDim, argument: "vectors", expected: 3, found: 4)) {
            try rotate([3, 4], at: -1, by: rotation)
        }
        let wider = try RotaryEmbedding(dim: 6, theta: 10_000).rotation(at: 0..<3)
        assertThrows(.dimensionMismatch(.ropeDim, argument: "rotation", expected: 4, found: 6)) {
            try rotate([3, 4], by: wider)
        }
    }
}

import Foundation
import SparseAttention
import TestSupport
import XCTest

final class YaRNTests: XCTestCase {
    /// As in the configuration of DeepSeek-V3.2.
    private let deepSeek = YaRN(factor: 40, originalPositions: 4096, mscale: 1, mscaleAllDim: 1)

    func testScalesOfDeepSeek() {
        let magnitude = 0.1 * log(40.0) + 1
        XCTAssertEqual(deepSeek.rotationScale, 1)
        XCTAssertEqual(deepSeek.softmaxScale, magnitude * magnitude, accuracy: 1e-15)
        XCTAssertEqual(deepSeek.softmaxScale, 1.873_854, accuracy: 1e-6)
    }

    func testFrequenciesOfDeepSeek() throws {
        let rope = try RotaryEmbedding(dim: 64, theta: 10_000, yarn: deepSeek)
        XCTAssertEqual(rope.rotationScale, 1)
        XCTAssertEqual(rope.inverseFrequencies.count, 32)
        // 64 · ln(4096 / 64π) / (2 ln 10000) = 10.5 and 64 · ln(4096 / 2π) / (2 ln 10000) = 22.5: a ramp over 10 ... 23
        for (pair, found) in rope.inverseFrequencies.enumerated() {
            let plain = pow(10_000, -Double(pair) / 32)
            let slowed = min(max((Double(pair) - 10) / 13, 0), 1)
            let expected = plain * (1 - slowed) + plain / 40 * slowed
            XCTAssertEqual(Double(found), expected, accuracy: expected * Tolerances.floor, "pair \(pair)")
        }
    }

    func testScalesWithoutSettings() {
        let plain = YaRN(factor: 40, originalPositions: 4096)
        XCTAssertEqual(plain.rotationScale, 0.1 * log(40.0) + 1)
        XCTAssertEqual(plain.softmaxScale, 1)
        XCTAssertEqual(
            YaRN(factor: 40, originalPositions: 4096, mscale: 1).rotationScale,
            plain.rotationScale
        )
        let zero = YaRN(factor: 40, originalPositions: 4096, mscale: 1, mscaleAllDim: 0)
        XCTAssertEqual([zero.rotationScale, zero.softmaxScale], [plain.rotationScale, 1])
    }

    func testScalesWithSettings() {
        let uneven = YaRN(factor: 40, originalPositions: 4096, mscale: 0.707, mscaleAllDim: 1)
        let expected = (0.1 * 0.707 * log(40.0) + 1) / (0.1 * log(40.0) + 1)
        XCTAssertEqual(uneven.rotationScale, expected, accuracy: 1e-15)
        let given = YaRN(factor: 40, originalPositions: 4096, mscale: 1, mscaleAllDim: 1, attentionFactor: 3)
        XCTAssertEqual(given.rotationScale, 3)
        XCTAssertEqual(YaRN(factor: 1, originalPositions: 4096, mscaleAllDim: 1).softmaxScale, 1)
    }

    func testAFactorOfOneChangesNoFrequency() throws {
        let stretched = try RotaryEmbedding(
            dim: 16,
            theta: 10_000,
            yarn: YaRN(factor: 1, originalPositions: 4096)
        )
        let plain = try RotaryEmbedding(dim: 16, theta: 10_000)
        assertClose(
            stretched.inverseFrequencies,
            plain.inverseFrequencies.map(Double.init),
            within: Tolerances.floor
        )
    }

    func testTinyOriginalContextSlowsEveryPair() throws {
        // Every pair turns less than once over 2 positions; the ramp has no width but its safeguard.
        let yarn = YaRN(factor: 8, originalPositions: 2)
        let rope = try RotaryEmbedding(dim: 8, theta: 10_000, yarn: yarn)
        XCTAssertTrue(rope.inverseFrequencies.allSatisfy(\.isFinite))
        XCTAssertEqual(rope.inverseFrequencies[3], 1e-3 / 8, accuracy: 1e-9)
    }
}

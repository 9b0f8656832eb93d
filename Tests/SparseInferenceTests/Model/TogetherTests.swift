import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// Sequences that are run together: each gets the numbers it gets alone, and a failure leaves no trace.
final class TogetherTests: XCTestCase {
    private static let lengths = [1, 3, 7, 8, 12, 30]

    /// Sessions of different lengths, the last two with a common beginning.
    private func sessions(_ model: LanguageModel, _ format: CacheFormat?) throws -> [Session] {
        try Self.lengths.enumerated().map { index, length in
            let session = try Session(model, capacity: 64, cacheFormat: format)
            _ = try session.extend(by: TinyCheckpoint.tokens(length, seed: UInt64(index)))
            return session
        }
    }

    /// Fails unless several steps together give what they give alone.
    private func assertIndependent(
        _ model: LanguageModel,
        _ format: CacheFormat? = nil,
        _ attention: AttentionMode = .sparse,
        message: String
    ) throws {
        let together = try sessions(model, format)
        let alone = try sessions(model, format)
        for step in 0..<4 {
            let tokens = TinyCheckpoint.tokens(together.count, seed: 100 + UInt64(step))
            let logits = try Session.extend(together, by: tokens.map { [$0] }, attention: attention)
            for (index, session) in alone.enumerated() {
                let expected = try session.extend(by: [tokens[index]], attention: attention)
                assertSameBits(
                    try logits[index].reshaped(expected.shape),
                    expected,
                    "\(message), step \(step), sequence \(index)"
                )
            }
        }
        XCTAssertEqual(together.map(\.tokens), alone.map(\.tokens), message)
        XCTAssertEqual(together.map(\.attentionModes), alone.map(\.attentionModes), message)
    }

    func testEachGetsTheNumbersItGetsAlone() throws {
        let precisions: [LanguageModel.Precision] = [
            .float32, .bfloat16, .deployed(activations: .float32), .deployed(activations: .bfloat16),
            .legacy(activations: .bfloat16),
        ]
        for family in ModelConfiguration.Family.allCases {
            let checkpoint = try TinyCheckpoint(family)
            for precision in precisions {
                for workers in [Workers.one, try Workers(count: 3), try Workers(count: 9)] {
                    let model = try checkpoint.model(precision, workers: workers)
                    try assertIndependent(model, message: "\(family), \(precision), \(workers.count) threads")
                }
            }
        }
    }

    func testAnyCacheAndBothModes() throws {
        let model = try TinyCheckpoint().model(workers: .all)
        for format in CacheFormat.allCases {
            for attention in AttentionMode.allCases {
                try assertIndependent(model, format, attention, message: "\(format), \(attention)")
            }
        }
    }

    func testMoreSequencesThanShareAPass() throws {
        let model = try TinyCheckpoint().model()
        let count = 2 * WeightMatrix.fewInputs + 3
        let sessions = try (0..<count).map { index in
            let session = try Session(model, capacity: 20)
            _ = try session.extend(by: TinyCheckpoint.tokens(9, seed: UInt64(index)))
            return session
        }
        let alone = try sessions.map { try Session(copying: $0, capacity: 10) }
        let tokens = TinyCheckpoint.tokens(count)
        let logits = try Session.extend(sessions, by: tokens.map { [$0] })
        for (index, session) in alone.enumerated() {
            let expected = try session.extend(by: [tokens[index]])
            assertSameBits(try logits[index].reshaped(expected.shape), expected, "\(index)")
        }
    }

    func testACopyGoesOnAsItsOriginal() throws {
        let model = try TinyCheckpoint().model(.deployed(activations: .float32))
        for format in CacheFormat.allCases {
            let original = try Session(model, capacity: 40, cacheFormat: format)
            let tokens = TinyCheckpoint.tokens(30)
            _ = try original.extend(by: tokens)
            let copy = try Session(copying: original, upTo: 20, capacity: 25)
            XCTAssertEqual(copy.tokens, Array(tokens[..<20]))
            XCTAssertEqual(copy.cacheFormat, format)
            XCTAssertEqual(copy.attentionModes, [.sparse])
            try original.truncate(to: 20)
            assertSameBits(try copy.extend(by: [5]), try original.extend(by: [5]), "\(format)")
            XCTAssertThrowsError(try Session(copying: original, upTo: 22, capacity: 40)) { error in
                XCTAssertEqual(
                    error as? SparseAttentionError,
                    .positionOutOfRange(position: 22, allowed: 0..<22)
                )
            }
        }
    }

    func testRefusalsLeaveAllAsTheyWere() throws {
        let model = try TinyCheckpoint().model()
        let other = try Session(try TinyCheckpoint(seed: 2).model(), capacity: 8)
        let (first, second) = (try Session(model, capacity: 8), try Session(model, capacity: 2))
        _ = try first.extend(by: [1, 2])
        _ = try second.extend(by: [3, 4])
        func refused(_ found: String, _ expected: String) -> SparseInferenceError {
            .request(.invalidOption("sessions", found: found, expected: expected))
        }
        let cases: [(SparseInferenceError, [Session], [[Int]])] = [
            (refused("1", "2, as many as runs of tokens"), [first], [[1], [2]]),
            (refused("one of them twice", "each once"), [first, first], [[1], [2]]),
            (refused("those of several models", "those of one"), [first, other], [[1], [2]]),
            (.request(.contextTooLong(tokens: 3, limit: 2)), [first, second], [[1], [2]]),
            (.request(.emptyPrompt), [first], [[]]),
            (.request(.unknownToken(64, vocabularySize: 64)), [first], [[64]]),
        ]
        for (error, sessions, tokens) in cases {
            assertError(error) { try Session.extend(sessions, by: tokens) }
            XCTAssertEqual(first.tokens, [1, 2], "\(error)")
            XCTAssertEqual(second.tokens, [3, 4], "\(error)")
        }
        XCTAssertTrue(try Session.extend([], by: []).isEmpty)
    }
}

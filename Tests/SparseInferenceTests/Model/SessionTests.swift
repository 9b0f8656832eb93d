import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// A sequence in progress: what it refuses, and that a failure leaves no trace.
final class SessionTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)

    private struct Stop: Error {}

    /// Fails unless a session goes on as a fresh one that was given the same tokens in the same chunks.
    private func assertGoesOn(
        _ session: Session,
        after held: Int,
        _ message: String = "",
        cacheFormat: CacheFormat = .float32,
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        XCTAssertEqual(session.count, held, message, file: file, line: line)
        let fresh = try Session(session.model, capacity: session.capacity, cacheFormat: cacheFormat)
        if held > 0 { _ = try fresh.extend(by: Array(tokens[..<held])) }
        for next in [held..<held + 1, held + 1..<held + 9] {
            let logits = try session.extend(by: Array(tokens[next]))
            let expected = try fresh.extend(by: Array(tokens[next]))
            assertSameBits(logits, expected, message, file: file, line: line)
        }
    }

    func testBeginsEmpty() throws {
        let session = try Session(try TinyCheckpoint().model(), capacity: 12)
        XCTAssertEqual(session.count, 0)
        XCTAssertEqual(session.capacity, 12)
        XCTAssertEqual(session.bytesPerToken, 4 * (8 + 4 + 8) * 4)
        let narrow = try Session(session.model, capacity: 12, cacheFormat: .bfloat16)
        XCTAssertEqual(narrow.bytesPerToken, 4 * (8 + 4 + 8) * 2)
    }

    func testRefusesACapacityBeyondTheModel() throws {
        let model = try TinyCheckpoint(.deepseekV32, ["max_position_embeddings": "32"]).model()
        for capacity in [33, 0, -1, Int.max, Int.min] {
            assertError(.request(.contextTooLong(tokens: capacity, limit: 32)), "\(capacity)") {
                try Session(model, capacity: capacity)
            }
        }
        XCTAssertEqual(try Session(model, capacity: 32).capacity, 32)
    }

    func testRefusalsLeaveTheSessionAsItWas() throws {
        let model = try TinyCheckpoint().model()
        let invalidChunk = { RequestFault.invalidOption("chunk", found: $0, expected: "at least 1") }
        let cases: [(fault: RequestFault, tokens: [Int], chunk: Int)] = [
            (.emptyPrompt, [], 8), (.emptyPrompt, [], 0),
            (.unknownToken(64, vocabularySize: 64), [1, 64], 1),
            (.unknownToken(-1, vocabularySize: 64), [-1], 8),
            (.unknownToken(.max, vocabularySize: 64), [.max], 8),
            (.contextTooLong(tokens: 31, limit: 30), Array(repeating: 1, count: 21), 4),
            (invalidChunk("0"), [1], 0), (invalidChunk("-3"), [1], -3),
            (invalidChunk("\(Int.min)"), [1], .min),
        ]
        for (fault, refused, chunk) in cases {
            let session = try Session(model, capacity: 30)
            _ = try session.extend(by: Array(tokens[..<10]))
            assertError(.request(fault), "\(fault)") { try session.extend(by: refused, chunk: chunk) }
            assertError(.request(fault), "\(fault), all logits") {
                try session.extendWithAllLogits(by: refused, chunk: chunk)
            }
            try assertGoesOn(session, after: 10, "\(fault)")
        }
    }

    func testCanBeFilledExactly() throws {
        let session = try Session(try TinyCheckpoint().model(), capacity: 10)
        _ = try session.extend(by: Array(tokens[..<9]))
        _ = try session.extend(by: [tokens[9]])
        XCTAssertEqual(session.count, 10)
        assertError(.request(.contextTooLong(tokens: 11, limit: 10))) { try session.extend(by: [1]) }
    }

    func testProgressTellsEveryChunk() throws {
        let session = try Session(try TinyCheckpoint().model(), capacity: 40)
        var calls: [Int] = []
        _ = try session.extend(by: Array(tokens[..<20]), chunk: 8) { calls.append($0) }
        XCTAssertEqual(calls, [8, 16, 20])
        calls = []
        _ = try session.extend(by: Array(tokens[20..<40]), chunk: 10) { calls.append($0) }
        XCTAssertEqual(calls, [10, 20])
    }

    func testAnErrorOfProgressRollsBack() throws {
        let model = try TinyCheckpoint().model()
        for held in [0, 10] {
            for last in [5, 10, 12] {
                let session = try Session(model, capacity: 40)
                if held > 0 { _ = try session.extend(by: Array(tokens[..<held])) }
                let refused = Array(tokens[20..<32])
                XCTAssertThrowsError(
                    try session.extend(by: refused, chunk: 5) { if $0 == last { throw Stop() } }
                ) { XCTAssertTrue($0 is Stop, "\($0)") }
                try assertGoesOn(session, after: held, "\(held) held, stopped at \(last)")
            }
        }
    }

    func testTruncateThenExtendEqualsAFreshSequence() throws {
        let model = try TinyCheckpoint().model()
        for length in [0, 1, 10] {
            for format in CacheFormat.allCases {
                let session = try Session(model, capacity: 40, cacheFormat: format)
                if length > 0 { _ = try session.extend(by: Array(tokens[..<length])) }
                _ = try session.extend(by: TinyCheckpoint.tokens(17, seed: 8))
                try session.truncate(to: length)
                try assertGoesOn(session, after: length, "to \(length), \(format)", cacheFormat: format)
            }
        }
    }

    func testTruncatesWithinAChunk() throws {
        let session = try Session(try TinyCheckpoint().model(), capacity: 40)
        _ = try session.extend(by: tokens)
        try session.truncate(to: 30)
        let logits = try session.extend(by: Array(tokens[30...]))
        let expected = try Session(session.model, capacity: 40).extend(by: tokens)
        assertClose(logits, expected, within: Tolerances.sameModel)
    }

    func testTruncatesSharedAndDenseLayers() throws {
        let glm = try TinyCheckpoint(.glmMoeDSA, ["index_topk_pattern": "\"FSFS\""]).model()
        for model in [glm, try TinyCheckpoint(.deepseekV3).model()] {
            let session = try Session(model, capacity: 40)
            _ = try session.extend(by: Array(tokens[..<10]))
            _ = try session.extend(by: TinyCheckpoint.tokens(17, seed: 8))
            try session.truncate(to: 10)
            try assertGoesOn(session, after: 10, "\(model.configuration.family)")
        }
    }

    func testRefusesToTruncateToWhatIsNotThere() throws {
        let session = try Session(try TinyCheckpoint().model(), capacity: 40)
        _ = try session.extend(by: Array(tokens[..<10]))
        for length in [11, -1, Int.max] {
            assertThrows(.positionOutOfRange(position: length, allowed: 0..<11)) {
                try session.truncate(to: length)
            }
        }
        try assertGoesOn(session, after: 10)
    }

    func testSessionsOfOneModelAreIndependent() throws {
        let model = try TinyCheckpoint().model()
        let sessions = try (0..<2).map { _ in try Session(model, capacity: 40) }
        for session in sessions { _ = try session.extend(by: Array(tokens[..<10])) }
        _ = try sessions[1].extend(by: [3, 4, 5])
        try assertGoesOn(sessions[0], after: 10)
    }
}

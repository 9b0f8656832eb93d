import SparseAttention
import TestSupport
import XCTest

@testable import SparseInference

/// A continuation: its tokens, where it ends, and what it says about itself.
final class GenerationTests: XCTestCase {
    private let prompt = TinyCheckpoint.tokens(20)

    /// Options for a number of tokens, whatever they are.
    private func options(
        _ maxTokens: Int,
        _ sampling: Sampling = .greedy,
        attention: AttentionMode = .sparse
    ) -> GenerationOptions {
        GenerationOptions(maxTokens: maxTokens, sampling: sampling, attention: attention, stopsAtEnd: false)
    }

    func testGreedyIsTheBestTokenOfEachStep() async throws {
        let model = try TinyCheckpoint().model()
        for attention in AttentionMode.allCases {
            let session = try Session(model, capacity: 40)
            var logits = try session.extend(by: prompt, attention: attention).elements
            var expected: [Int] = []
            for step in 0..<12 {
                expected.append(logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 })
                if step < 11 {
                    logits = try session.extend(by: [expected[step]], attention: attention).elements
                }
            }
            let generation = try model.generate(tokens: prompt, options: options(12, attention: attention))
            let tokens = try await generation.tokens()
            XCTAssertEqual(tokens, expected, "\(attention)")
        }
    }

    func testGuessesChangeNothingButTheTime() async throws {
        let model = try TinyCheckpoint().model()
        for attention in AttentionMode.allCases {
            let plain = try await model.generate(tokens: prompt, options: options(60, attention: attention))
                .tokens()
            for drafts in [1, 4, 16] {
                var guessing = options(60, attention: attention)
                guessing.draftTokens = drafts
                let pieces = try await model.generate(tokens: prompt, options: guessing).pieces()
                XCTAssertEqual(pieces.map(\.token), plain, "\(attention), \(drafts) at a time")
                let statistics = try XCTUnwrap(pieces.last).statistics
                XCTAssertGreaterThan(statistics.draftedTokens, 0)
                XCTAssertLessThanOrEqual(statistics.acceptedTokens, statistics.draftedTokens)
                XCTAssertEqual(statistics.generatedTokens, 60)
            }
        }
    }

    func testGuessesAreWhatFollowedBefore() {
        let lookup = PromptLookup(limit: 3)
        XCTAssertEqual(lookup.guess([1, 2, 3, 4, 5, 9, 1, 2, 3]), [4, 5, 9])
        XCTAssertEqual(lookup.guess([7, 2, 3, 8, 7, 2, 3, 9, 2, 3]), [9, 2, 3], "the latest time")
        XCTAssertEqual(lookup.guess([0, 2, 3, 5, 6, 4, 2, 3]), [5, 6, 4])
        XCTAssertEqual(lookup.guess([1, 1, 1]), [1])
        XCTAssertEqual(lookup.guess([1, 2, 3]), [])
        XCTAssertEqual(lookup.guess([1]), [])
    }

    func testTheSeedDecides() async throws {
        let model = try TinyCheckpoint().model()
        func tokens(_ seed: UInt64) async throws -> [Int] {
            let sampling = Sampling.random(temperature: 1, seed: seed)
            return try await model.generate(tokens: prompt, options: options(16, sampling)).tokens()
        }
        let (first, again, other) = (try await tokens(1), try await tokens(1), try await tokens(2))
        XCTAssertEqual(first, again)
        XCTAssertNotEqual(first, other)
    }

    func testEachIterationStartsOver() async throws {
        let model = try TinyCheckpoint.speaking().model()
        let sampling = Sampling.random(temperature: 1.2, topK: 50, topP: 0.9, minP: 0.01, seed: 3)
        let generation = try model.generate(tokens: prompt, options: options(16, sampling))
        let first = try await generation.pieces()
        let second = try await generation.pieces()
        XCTAssertEqual(first.map(\.token), second.map(\.token))
        XCTAssertEqual(first.map(\.text), second.map(\.text))
        XCTAssertEqual(first.map(\.statistics.cacheBytes), second.map(\.statistics.cacheBytes))
    }

    func testRunsOfOneModelAreIndependent() async throws {
        let model = try TinyCheckpoint().model(workers: Workers(count: 2))
        let generation = try model.generate(tokens: prompt, options: options(10))
        let expected = try await generation.tokens()
        let results = try await withThrowingTaskGroup(of: [Int].self) { group in
            for _ in 0..<4 { group.addTask { try await generation.tokens() } }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        XCTAssertEqual(results, Array(repeating: expected, count: 4))
    }

    func testMaxTokensAreRespected() async throws {
        let model = try TinyCheckpoint().model()
        for count in [1, 2, 7] {
            let iterator = try model.generate(tokens: prompt, options: options(count)).makeAsyncIterator()
            for _ in 0..<count {
                let piece = try await iterator.next()
                XCTAssertNotNil(piece, "of \(count)")
            }
            for _ in 0..<2 {
                let piece = try await iterator.next()
                XCTAssertNil(piece, "after \(count)")
            }
        }
    }

    func testStopsAtTheTokensThatEnd() async throws {
        let cases: [(eos: String, stops: Bool, tokens: [Int])] = [
            ("257", true, [65, 66, 257]), ("257", false, [65, 66, 257, 67, 0]),
            ("66", true, [65, 66]), ("[67, 65]", true, [65]), ("null", true, [65, 66, 257]),
            ("67", true, [65, 66, 257]),
        ]
        for (eos, stops, expected) in cases {
            let model = try TinyCheckpoint.reciting([256, 65, 66, 257, 67], ["eos_token_id": eos]).model()
            let generation = try model.generate(
                tokens: [256],
                options: GenerationOptions(maxTokens: 5, stopsAtEnd: stops)
            )
            let tokens = try await generation.tokens()
            XCTAssertEqual(tokens, expected, "\(eos), stops: \(stops)")
        }
    }

    func testStatisticsAreConsistent() async throws {
        let model = try TinyCheckpoint().model()
        for format in [CacheFormat.float32, .bfloat16] {
            var options = options(6)
            options.cacheFormat = format
            let bytes = try Session(model, capacity: 1, cacheFormat: format).bytesPerToken
            let pieces = try await model.generate(tokens: prompt, options: options).pieces()
            for (index, piece) in pieces.enumerated() {
                let statistics = piece.statistics
                XCTAssertEqual(statistics.promptTokens, 20)
                XCTAssertEqual(statistics.generatedTokens, index + 1)
                // The token just chosen is not run yet.
                XCTAssertEqual(statistics.cacheBytes, (20 + index) * bytes)
                XCTAssertEqual(statistics.prefillSeconds, pieces[0].statistics.prefillSeconds)
                XCTAssertEqual(statistics.prefillRate, 20 / statistics.prefillSeconds)
                if index > 0 {
                    XCTAssertGreaterThan(statistics.decodeSeconds, pieces[index - 1].statistics.decodeSeconds)
                    XCTAssertEqual(statistics.decodeRate, Double(index) / statistics.decodeSeconds)
                }
            }
            XCTAssertGreaterThan(pieces[0].statistics.prefillSeconds, 0)
            XCTAssertEqual(pieces[0].statistics.decodeSeconds, 0)
            XCTAssertEqual(pieces[0].statistics.decodeRate, 0)
        }
    }

    func testProgressTellsEveryChunk() async throws {
        let model = try TinyCheckpoint().model()
        let log = CallLog()
        let options = GenerationOptions(maxTokens: 2, chunk: 8)
        _ = try await model.generate(tokens: prompt, options: options) { log.append($0) }.tokens()
        XCTAssertEqual(log.all, [8, 16, 20])
    }

    func testPromptsThatCannotBeServed() async throws {
        let model = try TinyCheckpoint(.deepseekV32, ["max_position_embeddings": "24"]).model()
        let cases: [(tokens: [Int], maxTokens: Int, fault: RequestFault)] = [
            ([], 1, .emptyPrompt), ([1, 64], 1, .unknownToken(64, vocabularySize: 64)),
            ([-1], 1, .unknownToken(-1, vocabularySize: 64)),
            (prompt, 5, .contextTooLong(tokens: 25, limit: 24)),
            (TinyCheckpoint.tokens(25), 1, .contextTooLong(tokens: 26, limit: 24)),
            (prompt, .max, .contextTooLong(tokens: .max, limit: 24)),
        ]
        for (tokens, maxTokens, fault) in cases {
            let generation = try model.generate(tokens: tokens, options: options(maxTokens))
            try await assertEnds(generation, with: .request(fault))
        }
        let fitting = try await model.generate(tokens: prompt, options: options(4)).tokens()
        XCTAssertEqual(fitting.count, 4)
    }
}

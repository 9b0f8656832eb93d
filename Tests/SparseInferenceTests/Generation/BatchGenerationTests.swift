import SparseAttention
import TestSupport
import XCTest

@testable import SparseInference

/// Several prompts at the same time: each gets what it gets alone, whatever the limits.
final class BatchGenerationTests: XCTestCase {
    private static let lengths = [3, 20, 11, 1, 30, 9, 14]

    private let prompts = lengths.enumerated().map { TinyCheckpoint.tokens($1, seed: UInt64($0)) }

    private func options(_ count: Int, _ change: (inout GenerationOptions, Int) -> Void = { _, _ in })
        -> [GenerationOptions]
    {
        (0..<count).map { index in
            var options = GenerationOptions(maxTokens: 5 + index, chunk: 8, stopsAtEnd: false)
            change(&options, index)
            return options
        }
    }

    /// All pieces of each prompt.
    private func pieces(_ batch: BatchGeneration, count: Int) async throws -> [[GeneratedPiece]] {
        var pieces = [[GeneratedPiece]](repeating: [], count: count)
        for try await piece in batch { pieces[piece.prompt].append(piece.piece) }
        return pieces
    }

    private func assertAsAlone(
        _ model: LanguageModel,
        _ prompts: [[Int]],
        _ options: [GenerationOptions],
        _ limits: BatchLimits,
        _ message: String = ""
    ) async throws {
        let batch = try model.generate(prompts: prompts, options: options, limits: limits)
        let found = try await pieces(batch, count: prompts.count)
        for (index, prompt) in prompts.enumerated() {
            let alone = try await model.generate(tokens: prompt, options: options[index]).pieces()
            XCTAssertEqual(found[index].map(\.token), alone.map(\.token), "\(message), prompt \(index)")
            XCTAssertEqual(found[index].map(\.text), alone.map(\.text), "\(message), prompt \(index)")
            XCTAssertEqual(found[index].last?.statistics.promptTokens, prompt.count, message)
        }
    }

    func testEveryPromptGetsWhatItGetsAlone() async throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.hasTokenizer = true
        let model = try checkpoint.model(workers: .all)
        for sequences in [1, 2, 3, 7, 40] {
            try await assertAsAlone(
                model,
                prompts,
                options(prompts.count),
                BatchLimits(sequences: sequences),
                "\(sequences) at a time"
            )
        }
    }

    func testWithLittleMemoryToo() async throws {
        let model = try TinyCheckpoint().model()
        let bytes = try Session(model, capacity: 1).bytesPerToken
        // Enough for the longest alone, then for ever more.
        for tokens in [39, 45, 60, 90, 150] {
            try await assertAsAlone(
                model,
                prompts,
                options(prompts.count),
                BatchLimits(sequences: 4, cacheBytes: tokens * bytes),
                "\(tokens) tokens"
            )
        }
    }

    /// Two sequences that fit at first and outgrow the memory later: one gives its caches up and takes them again.
    func testWhoGaveUpItsCachesGoesOnWithTheSameTokens() throws {
        let model = try TinyCheckpoint().model()
        let bytes = try Session(model, capacity: 1).bytesPerToken
        let prompts = [TinyCheckpoint.tokens(10, seed: 1), TinyCheckpoint.tokens(10, seed: 2)]
        let options = [GenerationOptions](
            repeating: GenerationOptions(maxTokens: 20, chunk: 4, stopsAtEnd: false),
            count: 2
        )
        let limits = BatchLimits(sequences: 2, cacheBytes: 36 * bytes)
        var run = try BatchRun(model, prompts, options: options, limits: limits)
        var order: [Int] = []
        while let piece = try run.next(progress: {}) {
            order.append(piece.prompt)
            XCTAssertLessThanOrEqual(run.usedBytes, 36 * bytes)
        }
        // Both in turn, then the first alone to its end, then the second.
        XCTAssertEqual(order.filter { $0 == 0 }.count, 20)
        XCTAssertEqual(order.filter { $0 == 1 }.count, 20)
        XCTAssertGreaterThan(order.prefix(10).filter { $0 == 1 }.count, 3)
        XCTAssertEqual(order.suffix(8), [1, 1, 1, 1, 1, 1, 1, 1])
    }

    func testASharedBeginningIsReadOnce() async throws {
        let model = try TinyCheckpoint().model()
        let beginning = TinyCheckpoint.tokens(21, seed: 9)
        let prompts = (0..<4).map { beginning + TinyCheckpoint.tokens(3 + $0, seed: 20 + UInt64($0)) }
        try await assertAsAlone(model, prompts, options(4), BatchLimits())
        var run = try BatchRun(model, prompts, options: options(4), limits: BatchLimits())
        var checks = 0
        _ = try run.next { checks += 1 }
        // One check at the start; four chunks of eight for the first prompt, the last two of four for each other.
        XCTAssertEqual(checks, 1 + 3 + 3 * 2)
    }

    func testSettingsOfEachPromptAreItsOwn() async throws {
        let model = try TinyCheckpoint().model()
        let mixed = options(prompts.count) { options, index in
            options.attention = index % 2 == 0 ? .sparse : .dense
            options.cacheFormat = CacheFormat.allCases[index % 3]
            if index % 3 == 1 { options.sampling = .random(temperature: 1, seed: UInt64(index)) }
            if index % 3 == 2 { options.draftTokens = 3 }
            options.stopsAtEnd = index == 4
        }
        try await assertAsAlone(model, prompts, mixed, BatchLimits(sequences: 5))
    }

    func testRefusesWhatCannotBeDone() throws {
        let model = try TinyCheckpoint(.deepseekV32, ["max_position_embeddings": "32"]).model()
        let bytes = try Session(model, capacity: 1).bytesPerToken
        let fine = GenerationOptions(maxTokens: 4)
        func assertRefused(
            _ fault: RequestFault,
            _ prompts: [[Int]] = [[1, 2]],
            _ options: [GenerationOptions]? = nil,
            _ limits: BatchLimits = BatchLimits(),
            line: UInt = #line
        ) {
            assertError(.request(fault), line: line) {
                try model.generate(
                    prompts: prompts,
                    options: options ?? prompts.map { _ in fine },
                    limits: limits
                )
            }
        }
        assertRefused(.emptyPrompt, [[1], []])
        assertRefused(.unknownToken(64, vocabularySize: 64), [[1], [64]])
        assertRefused(.contextTooLong(tokens: 33, limit: 32), [[1], Array(repeating: 1, count: 29)])
        assertRefused(.memoryTooSmall(bytes: 5 * bytes, needed: 6 * bytes, prompt: 0), limits: 5 * bytes)
        assertRefused(
            .invalidOption("options", found: "1", expected: "2, one for each prompt"),
            [[1], [2]],
            [fine]
        )
        assertRefused(
            .invalidOption("sequences", found: "0", expected: "1 to 1024"),
            [[1]],
            nil,
            BatchLimits(sequences: 0)
        )
        assertRefused(
            .invalidOption("cacheBytes", found: "-1", expected: "at least 1"),
            [[1]],
            nil,
            BatchLimits(cacheBytes: -1)
        )
        func assertRefused(_ fault: RequestFault, limits bytes: Int) {
            assertRefused(fault, [[1, 2]], nil, BatchLimits(cacheBytes: bytes))
        }
    }

    func testNoPromptsGiveNothing() async throws {
        let model = try TinyCheckpoint().model()
        let found = try await pieces(model.generate(prompts: [], options: []), count: 0)
        XCTAssertTrue(found.isEmpty)
    }
}

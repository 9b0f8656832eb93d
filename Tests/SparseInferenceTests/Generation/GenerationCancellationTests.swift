import SparseInference
import Synchronization
import XCTest

/// A cancelled task stops at the next chunk or token.
final class GenerationCancellationTests: XCTestCase {
    /// A task that iterates, to be cancelled from inside its own work.
    private final class Run: Sendable {
        private let task = Mutex<Task<Void, any Error>?>(nil)
        let tokens = CallLog()

        func cancel() {
            task.withLock { $0?.cancel() }
        }

        /// Iterates in a task of its own, which can be cancelled from the first piece of work on.
        func iterate(_ generation: Generation, cancellingAfter count: Int = .max) async throws {
            let (gate, opener) = AsyncStream<Void>.makeStream()
            let task = Task {
                for await _ in gate { break }
                for try await piece in generation {
                    self.tokens.append(piece.token)
                    if self.tokens.all.count == count { self.cancel() }
                }
            }
            self.task.withLock { $0 = task }
            opener.finish()
            try await task.value
        }
    }

    private func assertCancelled(
        file: StaticString = #filePath,
        line: UInt = #line,
        _ body: () async throws -> Void
    ) async {
        do {
            try await body()
            XCTFail("not cancelled", file: file, line: line)
        } catch {
            XCTAssertTrue(error is CancellationError, "\(error)", file: file, line: line)
        }
    }

    func testStopsWithinThePrompt() async throws {
        let model = try TinyCheckpoint().model()
        for last in [8, 24, 64] {
            let (run, progress) = (Run(), CallLog())
            let options = GenerationOptions(maxTokens: 4, chunk: 8)
            let generation = try model.generate(tokens: TinyCheckpoint.tokens(64), options: options) { done in
                progress.append(done)
                if done == last { run.cancel() }
            }
            await assertCancelled { try await run.iterate(generation) }
            XCTAssertEqual(progress.all, Array(stride(from: 8, through: last, by: 8)))
            XCTAssertEqual(run.tokens.all, [])
        }
    }

    func testStopsBetweenTokens() async throws {
        let model = try TinyCheckpoint().model()
        let options = GenerationOptions(maxTokens: 50, stopsAtEnd: false)
        let generation = try model.generate(tokens: TinyCheckpoint.tokens(9), options: options)
        let expected = try await generation.tokens()
        for count in [1, 3] {
            let run = Run()
            await assertCancelled { try await run.iterate(generation, cancellingAfter: count) }
            XCTAssertEqual(run.tokens.all, Array(expected.prefix(count)))
        }
        // The generation itself is not harmed.
        let again = try await generation.tokens()
        XCTAssertEqual(again, expected)
    }

    func testACancelledTaskDoesNotBegin() async throws {
        let model = try TinyCheckpoint().model()
        let progress = CallLog()
        let generation = try model.generate(tokens: [1, 2, 3]) { progress.append($0) }
        let task = Task {
            withUnsafeCurrentTask { $0?.cancel() }
            _ = try await generation.tokens()
        }
        await assertCancelled { try await task.value }
        XCTAssertEqual(progress.all, [])
    }

    func testLeavingALoopEndsTheWork() async throws {
        let model = try TinyCheckpoint().model()
        let options = GenerationOptions(maxTokens: 50, stopsAtEnd: false)
        var count = 0
        for try await _ in try model.generate(tokens: [1, 2, 3], options: options) {
            count += 1
            if count == 2 { break }
        }
        XCTAssertEqual(count, 2)
    }
}

import SparseInference
import Synchronization
import XCTest

extension Generation {
    /// All pieces.
    func pieces() async throws -> [GeneratedPiece] {
        var pieces: [GeneratedPiece] = []
        for try await piece in self { pieces.append(piece) }
        return pieces
    }

    /// The tokens of all pieces.
    func tokens() async throws -> [Int] {
        try await pieces().map(\.token)
    }
}

/// Keeps what a generation tells from another thread.
final class CallLog: Sendable {
    private let calls = Mutex<[Int]>([])

    /// The numbers so far.
    var all: [Int] { calls.withLock { $0 } }

    /// Adds a number.
    func append(_ call: Int) {
        calls.withLock { $0.append(call) }
    }
}

/// Checks that a generation ends with exactly this error, after some pieces, and then says nothing more.
func assertEnds(
    _ generation: Generation,
    with expected: SparseInferenceError,
    after tokens: [Int] = [],
    file: StaticString = #filePath,
    line: UInt = #line
) async throws {
    let iterator = generation.makeAsyncIterator()
    for token in tokens {
        let piece = try await iterator.next()
        XCTAssertEqual(piece?.token, token, file: file, line: line)
    }
    do {
        let piece = try await iterator.next()
        XCTFail("no error, but \(String(describing: piece))", file: file, line: line)
    } catch {
        XCTAssertEqual(error as? SparseInferenceError, expected, file: file, line: line)
    }
    let rest = try await iterator.next()
    XCTAssertNil(rest, file: file, line: line)
}

import Dispatch
import Synchronization

/// What makes one element after another, each some work.
protocol Producer: SendableMetatype {
    associatedtype Element: Sendable

    /// The next element; nil at the end.
    ///
    /// - Parameter check: to be called now and then; throws when the work is no longer wanted.
    /// - Returns: the element.
    /// - Throws: what the work or `check` throws; there is no next element then.
    mutating func next(check: () throws -> Void) throws -> Element?
}

/// A producer at work on a queue of its own, so that waiting for it blocks no thread of the caller's.
///
/// Cancelling the task that waits stops the work at its next check, with `CancellationError`.
final class Production<Made: Producer>: @unchecked Sendable {
    // Sendable: every stored variable is touched on `queue` only, `isCancelled` is atomic.

    private let begin: @Sendable () throws -> Made
    private let queue = DispatchQueue(label: "generation", qos: .userInitiated)
    private let isCancelled = Atomic(false)
    private var producer: Made?
    private var isFinished = false

    init(_ begin: @escaping @Sendable () throws -> Made) {
        self.begin = begin
    }

    func next() async throws -> Made.Element? {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await withCheckedThrowingContinuation { continuation in
                queue.async { [self] in
                    continuation.resume(with: Result { try step() })
                }
            }
        } onCancel: {
            isCancelled.store(true, ordering: .relaxed)
        }
    }

    private func step() throws -> Made.Element? {
        guard !isFinished else { return nil }
        // What is at its end, or failed, gives its memory back.
        isFinished = true
        var current = try producer ?? begin()
        producer = nil
        try checkCancellation()
        guard let element = try current.next(check: checkCancellation) else { return nil }
        producer = current
        isFinished = false
        return element
    }

    private func checkCancellation() throws {
        if isCancelled.load(ordering: .relaxed) { throw CancellationError() }
    }
}

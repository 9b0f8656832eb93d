import Dispatch
import Foundation
import Synchronization

/// Threads that stay: what one parallel region after another runs on without being started anew.
///
/// Decoding a token is some fifty regions of a few dozen microseconds. A helper that has run one looks out for
/// the next for about as long as a region takes, then sleeps, so that an idle process uses no processor. The
/// caller works too; helpers that have not begun when it has finished are let off, so that a busy machine
/// delays nothing. The team serves one region at a time.
final class WorkerTeam: Sendable {
    /// The team of this process: a helper for each processor but the caller's.
    static let shared = WorkerTeam(helpers: max(ProcessInfo.processInfo.activeProcessorCount, 1) - 1)

    private let helpers: [Helper]
    private let isBusy = Atomic(false)

    private init(helpers count: Int) {
        helpers = (0..<count).map { _ in Helper() }
        for helper in helpers {
            let thread = Thread { helper.serve() }
            thread.name = "SparseAttention worker"
            thread.stackSize = Self.stackBytes
            thread.start()
        }
    }

    /// Products need some hundreds of kilobytes of a thread's stack.
    private static let stackBytes = 4 << 20

    /// Runs `body` on the calling thread and, unless they come too late, on `threads - 1` others; returns when all
    /// have returned.
    ///
    /// - Returns: false, with nothing run, when the team is in use or has too few helpers.
    func run(threads: Int, _ body: @Sendable () -> Void) -> Bool {
        guard threads - 1 <= helpers.count,
            isBusy.compareExchange(expected: false, desired: true, ordering: .acquiring).exchanged
        else { return false }
        withoutActuallyEscaping(body) { body in
            for helper in helpers[..<(threads - 1)] {
                helper.begin(body)
            }
            body()
            for helper in helpers[..<(threads - 1)] {
                helper.finish()
            }
        }
        isBusy.store(false, ordering: .releasing)
        return true
    }
}

/// One thread of the team, and what it is told.
private final class Helper: @unchecked Sendable {
    // Sendable: `body` is written by the team's caller in `begin`, read by the helper's thread from `posted` to
    // the end of `running`, and cleared by whoever ends that; `state` orders them.

    private enum State: Int, AtomicRepresentable {
        /// Nothing to do; the thread looks out for work.
        case idle
        /// Nothing to do; the thread waits for `wake`.
        case asleep
        /// There is a body that nobody has begun.
        case posted
        /// The thread runs the body.
        case running
        /// The same, and the caller waits for `done`.
        case awaited
    }

    private let state = Atomic(State.idle)
    private var body: (@Sendable () -> Void)?
    private let wake = DispatchSemaphore(value: 0)
    private let done = DispatchSemaphore(value: 0)

    /// Looks before a thread sleeps: some 50 µs.
    private static let patience = 2000

    /// Hands out work; the helper must have none.
    func begin(_ body: @escaping @Sendable () -> Void) {
        self.body = body
        if state.exchange(.posted, ordering: .acquiringAndReleasing) == .asleep {
            wake.signal()
        }
    }

    /// Takes back work that has not begun, or waits for its end.
    func finish() {
        if state.compareExchange(expected: .posted, desired: .idle, ordering: .acquiringAndReleasing)
            .exchanged
        {
            body = nil
            return
        }
        for _ in 0..<Self.patience {
            if state.load(ordering: .acquiring) != .running { return }
            Kernels.pause()
        }
        if state.compareExchange(expected: .running, desired: .awaited, ordering: .acquiringAndReleasing)
            .exchanged
        {
            done.wait()
        }
    }

    /// The life of the thread.
    func serve() {
        while true {
            awaitWork()
            // Who came second to a body that was taken back finds nothing and looks out again.
            guard
                state.compareExchange(expected: .posted, desired: .running, ordering: .acquiringAndReleasing)
                    .exchanged
            else { continue }
            runBody()
            if state.exchange(.idle, ordering: .acquiringAndReleasing) == .awaited {
                done.signal()
            }
        }
    }

    private func awaitWork() {
        for _ in 0..<Self.patience {
            if state.load(ordering: .acquiring) == .posted { return }
            Kernels.pause()
        }
        if state.compareExchange(expected: .idle, desired: .asleep, ordering: .acquiringAndReleasing)
            .exchanged
        {
            wake.wait()
        }
    }

    // Not inlined: the reference to the body must be gone before the caller is told.
    @inline(never)
    private func runBody() {
        let work = body
        body = nil
        work?()
    }
}

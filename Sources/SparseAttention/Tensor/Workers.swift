import Dispatch
import Foundation
import Synchronization

/// The threads an operation may use.
///
/// The only place that splits work. Work is cut into tiles whose bounds depend on shapes alone, never on
/// the number of threads, and each tile is computed by one thread in a fixed order: results are bit for bit
/// the same for any count.
public struct Workers: Equatable, Sendable {
    /// The number of threads, at least 1.
    public let count: Int

    /// As many threads as this machine has active processors.
    public static let all = Workers(trusted: ProcessInfo.processInfo.activeProcessorCount)

    /// The calling thread alone.
    public static let one = Workers(trusted: 1)

    /// A given number of threads.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` unless `count` is 1 to 1024.
    public init(count: Int) throws(SparseAttentionError) {
        guard (1...1024).contains(count) else {
            throw .invalidSetting(name: "threads", found: "\(count)", expected: "1 to 1024")
        }
        self.init(trusted: count)
    }

    private init(trusted count: Int) {
        self.count = max(count, 1)
    }

    /// Runs `body` once for each tile, each worker with working memory of its own.
    ///
    /// A region inside another is run by the thread that comes to it.
    ///
    /// - Parameters:
    ///   - tiles: how many tiles there are.
    ///   - scratch: makes one worker's working memory.
    ///   - body: computes one tile; tiles write to disjoint places.
    package func run<Memory>(
        tiles: Int,
        scratch: @Sendable () -> Memory,
        _ body: @Sendable (_ tile: Int, _ scratch: Memory) -> Void
    ) {
        let threads = Region.isInside ? 1 : min(count, tiles)
        guard threads > 1 else {
            guard tiles > 0 else { return }
            let memory = scratch()
            for tile in 0..<tiles {
                body(tile, memory)
            }
            return
        }
        let next = Atomic(0)
        @Sendable func work() {
            var tile = next.wrappingAdd(1, ordering: .relaxed).oldValue
            guard tile < tiles else { return }
            Region.enter {
                let memory = scratch()
                while tile < tiles {
                    body(tile, memory)
                    tile = next.wrappingAdd(1, ordering: .relaxed).oldValue
                }
            }
        }
        // A region beside one of another task, and one of more threads than processors.
        if !WorkerTeam.shared.run(threads: threads, work) {
            DispatchQueue.concurrentPerform(iterations: threads) { _ in work() }
        }
    }

    /// Runs `body` once for each tile.
    package func run(tiles: Int, _ body: @Sendable (_ tile: Int) -> Void) {
        run(tiles: tiles, scratch: {}, { tile, _ in body(tile) })
    }

    /// What `body` gives for each index, in their order.
    ///
    /// - Throws: what it throws for the first index for which it does; the others are run all the same.
    package func map<Element: Sendable>(
        count total: Int,
        _ body: @Sendable (_ index: Int) throws -> Element
    ) throws -> [Element] {
        var results = [Result<Element, any Error>?](repeating: nil, count: total)
        results.withUnsafeMutableBufferPointer { results in
            // Each element is written by one tile.
            nonisolated(unsafe) let results = results
            run(tiles: total) { index in results[index] = Result { try body(index) } }
        }
        return try results.compactMap { try $0?.get() }
    }

    /// Runs `body` over `0 ..< count` in ranges of `tile` elements, the last one shorter.
    package func run(count total: Int, tile: Int, _ body: @Sendable (Range<Int>) -> Void) {
        run(tiles: tileCount(total, tile)) { index in
            body(index * tile..<min((index + 1) * tile, total))
        }
    }
}

/// How many tiles of `tile` elements cover `total` elements.
package func tileCount(_ total: Int, _ tile: Int) -> Int {
    (total + tile - 1) / tile
}

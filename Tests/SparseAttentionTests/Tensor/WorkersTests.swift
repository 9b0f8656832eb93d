import Foundation
import SparseAttention
import Synchronization
import TestSupport
import XCTest

final class WorkersTests: XCTestCase {
    func testCounts() throws {
        XCTAssertEqual(Workers.one.count, 1)
        XCTAssertGreaterThanOrEqual(Workers.all.count, 1)
        XCTAssertEqual(try Workers(count: 1024).count, 1024)
        for count in [0, -1, 1025] {
            assertThrows(.invalidSetting(name: "threads", found: "\(count)", expected: "1 to 1024")) {
                _ = try Workers(count: count)
            }
        }
    }

    func testEveryTileRunsOnce() throws {
        for count in [1, 2, 4, 7] {
            for tiles in [0, 1, 3, 100] {
                let seen = Record<Int>()
                try Workers(count: count).run(tiles: tiles) { seen.append($0) }
                XCTAssertEqual(seen.all.sorted(), Array(0..<tiles), "\(count) threads")
            }
        }
    }

    func testEachWorkerHasMemoryOfItsOwn() throws {
        final class Memory: Sendable {
            let busy = Atomic(false)
        }
        let made = Atomic(0)
        let clashes = Atomic(0)
        try Workers(count: 4).run(
            tiles: 50,
            scratch: {
                made.wrappingAdd(1, ordering: .relaxed)
                return Memory()
            },
            { _, memory in
                if memory.busy.exchange(true, ordering: .acquiring) {
                    clashes.wrappingAdd(1, ordering: .relaxed)
                }
                memory.busy.store(false, ordering: .releasing)
            }
        )
        XCTAssertEqual(clashes.load(ordering: .relaxed), 0)
        XCTAssertTrue((1...4).contains(made.load(ordering: .relaxed)))
    }

    func testRangesCoverEverything() throws {
        for total in [0, 1, 7, 8, 9] {
            let seen = Record<Range<Int>>()
            try Workers(count: 2).run(count: total, tile: 4) { seen.append($0) }
            let ranges = seen.all.sorted { $0.lowerBound < $1.lowerBound }
            XCTAssertEqual(ranges.flatMap { Array($0) }, Array(0..<total))
            XCTAssertTrue(ranges.allSatisfy { $0.count <= 4 && $0.lowerBound % 4 == 0 })
        }
    }

    func testRegionsInsideAndBesideOthers() throws {
        let sum = Atomic(0)
        let pair = try Workers(count: 2)
        for _ in 0..<200 {
            DispatchQueue.concurrentPerform(iterations: 3) { _ in
                pair.run(tiles: 3) { _ in
                    pair.run(tiles: 2) { _ in sum.wrappingAdd(1, ordering: .relaxed) }
                }
            }
        }
        XCTAssertEqual(sum.load(ordering: .relaxed), 200 * 3 * 3 * 2)
    }

    /// Helpers fall asleep between regions, and wake for the next.
    func testRegionsAfterAPause() throws {
        for pause in [0, 10, 1_000, 10_000] {
            for _ in 0..<10 {
                let seen = Record<Int>()
                try Workers(count: 2).run(tiles: 5) { seen.append($0) }
                XCTAssertEqual(seen.all.sorted(), Array(0..<5))
                usleep(UInt32(pause))
            }
        }
    }

    func testTileCounts() {
        XCTAssertEqual([0, 1, 4, 5].map { tileCount($0, 4) }, [0, 1, 1, 2])
    }
}

/// What several threads have seen.
private final class Record<Element: Sendable>: @unchecked Sendable {
    // Sendable: the lock guards the elements. `Mutex` would do, but the thread sanitizer cannot see through it.
    private let lock = NSLock()
    private var elements: [Element] = []

    /// Everything seen, in no particular order.
    var all: [Element] { lock.withLock { elements } }

    func append(_ element: Element) {
        lock.withLock { elements.append(element) }
    }
}

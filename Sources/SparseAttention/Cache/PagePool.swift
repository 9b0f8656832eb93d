import Synchronization

/// The memory of paged caches: pages of 64 rows, and how many sequences hold each.
///
/// Sequences may take, share and release pages from several tasks; a page that one sequence alone holds is
/// written by that sequence alone, one that several hold is never written.
final class PagePool: Sendable {
    /// The tokens of a page.
    ///
    /// Source: FlashMLA and DeepGEMM, `page_block_size` and `block_kv` of the V3.2 kernels.
    static let pageTokens = 64

    /// What one page looks like.
    let layout: RowLayout
    /// The number of pages.
    let pages: Int

    private let buffer: AlignedBuffer
    private let state: Mutex<State>

    private struct State {
        var free: [Int32]  // the next to take is last
        var holders: [Int32]
    }

    /// Reserves pages; memory is taken as they fill.
    init(pages: Int, layout: RowLayout) throws(SparseAttentionError) {
        let most = Int(Int32.max) / Self.pageTokens
        guard (0...most).contains(pages) else {
            throw .invalidSetting(name: "pages", found: "\(pages)", expected: "0 to \(most)")
        }
        self.layout = layout
        self.pages = pages
        let byteCount = try layout.byteCount(blocks: pages)
        buffer = AlignedBuffer(
            byteCount: byteCount,
            poisoned: AlignedBuffer.poisonsFreshMemory && pages <= 64
        )
        state = Mutex(
            State(free: (0..<Int32(pages)).reversed(), holders: [Int32](repeating: 0, count: pages))
        )
    }

    /// Where the first page begins.
    var base: UnsafeMutableRawPointer { buffer.base }
    /// The bytes of a page.
    var pageByteCount: Int { Self.pageTokens * layout.rowByteCount }
    /// The pages no sequence holds.
    var freePages: Int { state.withLock { $0.free.count } }

    /// Fewer pages are free than were asked for.
    struct TooFewPages: Error {
        let free: Int
    }

    /// Takes pages for one sequence, all or none.
    func take(_ count: Int) throws(TooFewPages) -> [Int32] {
        try state.withLock { state throws(TooFewPages) in
            guard count <= state.free.count else { throw TooFewPages(free: state.free.count) }
            return (0..<count).map { _ in
                let page = state.free.removeLast()
                state.holders[Int(page)] = 1
                return page
            }
        }
    }

    /// Counts one more sequence that holds each page.
    func share(_ pages: [Int32]) {
        state.withLock { state in
            for page in pages { state.holders[Int(page)] += 1 }
        }
    }

    /// Counts one sequence less that holds each page.
    func release(_ pages: some Sequence<Int32> & Sendable) {
        state.withLock { state in
            for page in pages {
                state.holders[Int(page)] -= 1
                if state.holders[Int(page)] == 0 { state.free.append(page) }
            }
        }
    }

    /// Whether several sequences hold a page.
    func isShared(_ page: Int32) -> Bool {
        state.withLock { $0.holders[Int(page)] > 1 }
    }

    /// Where a page begins.
    func start(of page: Int32) -> UnsafeMutableRawPointer {
        base + Int(page) * pageByteCount
    }
}

/// Joins the pairs of one word after the other, in memory that it keeps between words.
///
/// The pairs wait in a heap, best rank first and leftmost among equals, and the symbols form a linked
/// list. A pair whose symbols have changed since it was queued is dropped when its turn comes.
struct BytePairMerger {
    /// One token of the word in work; `id` is negative once it is joined to its left neighbour.
    private struct Symbol {
        var id: Int32
        var previous: Int
        var next: Int
    }

    /// A pair that was neighbours when it was queued.
    private struct Candidate {
        let rank: Int32
        let left: Int32
        let right: Int32
        let merged: Int32
        let position: Int

        static func < (one: Candidate, other: Candidate) -> Bool {
            one.rank == other.rank ? one.position < other.position : one.rank < other.rank
        }
    }

    private let model: BytePairModel
    private var symbols: [Symbol] = []
    private var heap: [Candidate] = []

    /// Makes a merger for a model.
    init(model: BytePairModel) {
        self.model = model
    }

    /// Appends the ids of a word.
    ///
    /// - Complexity: O(n log n) in the bytes of the word.
    mutating func append(_ word: [UInt8], to ids: inout [Int]) {
        if let id = model.wholeToken(word) {
            ids.append(id)
            return
        }
        symbols.removeAll(keepingCapacity: true)
        heap.removeAll(keepingCapacity: true)
        for (position, byte) in word.enumerated() {
            symbols.append(Symbol(id: model.id(of: byte), previous: position - 1, next: position + 1))
            if position > 0 { consider(position - 1) }
        }
        while let best = popBest() { join(best) }
        var position = 0
        while position < symbols.count {
            ids.append(Int(symbols[position].id))
            position = symbols[position].next
        }
    }

    /// Joins a queued pair, if it is still there, and queues the two pairs this makes.
    private mutating func join(_ pair: Candidate) {
        let left = symbols[pair.position]
        guard left.id == pair.left, left.next < symbols.count else { return }
        let right = symbols[left.next]
        guard right.id == pair.right else { return }
        symbols[left.next].id = -1
        symbols[pair.position].id = pair.merged
        symbols[pair.position].next = right.next
        if right.next < symbols.count {
            symbols[right.next].previous = pair.position
            consider(pair.position)
        }
        if left.previous >= 0 { consider(left.previous) }
    }

    /// Queues the pair of a symbol and its right neighbour, when the model joins it.
    private mutating func consider(_ position: Int) {
        let left = symbols[position].id
        let right = symbols[symbols[position].next].id
        guard let merge = model.merge(left, right) else { return }
        push(
            Candidate(rank: merge.rank, left: left, right: right, merged: merge.merged, position: position)
        )
    }
}

// MARK: - Heap

extension BytePairMerger {
    private mutating func push(_ candidate: Candidate) {
        var child = heap.count
        heap.append(candidate)
        while child > 0 {
            let parent = (child - 1) / 2
            guard candidate < heap[parent] else { break }
            heap[child] = heap[parent]
            child = parent
        }
        heap[child] = candidate
    }

    private mutating func popBest() -> Candidate? {
        guard let best = heap.first, let last = heap.popLast() else { return nil }
        guard !heap.isEmpty else { return best }
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < heap.count else { break }
            if child + 1 < heap.count && heap[child + 1] < heap[child] { child += 1 }
            guard heap[child] < last else { break }
            heap[parent] = heap[child]
            parent = child
        }
        heap[parent] = last
        return best
    }
}

/// The best scores so far of a row that arrives in pieces, under the contract of ``TopK``.
///
/// A score that does not beat the last of the best, as they were when room last ran out, is dropped at once;
/// the others wait in a buffer. When that is full, the best stay. What is chosen depends on the row alone,
/// not on its pieces.
///
/// A row of n scores in random order is read once, and its buffer cleared about log2(n / k) times.
package final class TopKStream {
    private let wanted: Int
    private let capacity: Int
    private let ranks: UnsafeMutablePointer<UInt32>  // [capacity + slack], earlier positions first
    private let positions: UnsafeMutablePointer<Int32>
    private let buffer: AlignedBuffer
    /// How many scores the buffer holds.
    private(set) var used = 0
    /// The rank a score must beat.
    private var floor: UInt32 = 0

    /// The scores that are looked at between two questions whether there is room.
    private static let pieceScores = 512

    /// An empty row.
    ///
    /// - Parameters:
    ///   - topK: how many to choose.
    ///   - slots: the room for them.
    ///   - candidates: the most scores that will arrive.
    ///   - room: what the buffer holds; more than the default only for merging.
    package init(_ topK: TopK, slots: Int, candidates: Int, room: Int = 0) {
        wanted = min(topK.count, slots, candidates)
        capacity = min(candidates, max(2 * wanted + Self.pieceScores, room))
        let length = (capacity + Kernels.rankSlack) * MemoryLayout<UInt32>.stride
        buffer = AlignedBuffer(byteCount: 2 * length, poisoned: AlignedBuffer.poisonsFreshMemory)
        ranks = buffer.base.assumingMemoryBound(to: UInt32.self)
        positions = (buffer.base + length).assumingMemoryBound(to: Int32.self)
    }

    /// Begins another row.
    package func reset() {
        used = 0
        floor = 0
    }

    /// Adds the scores of the positions from `first` on, which must follow those added before.
    func add(_ scores: UnsafePointer<Float>, count: Int, first: Int) {
        guard wanted > 0 else { return }
        var next = 0
        while next < count {
            if capacity - used < min(count - next, Self.pieceScores) { keepBest() }
            let piece = min(count - next, capacity - used)
            precondition(piece > 0, "more scores than were announced")
            used += Kernels.appendRanks(
                of: scores + next,
                count: piece,
                first: first + next,
                above: floor,
                to: ranks + used,
                positions + used
            )
            next += piece
        }
    }

    /// Adds the scores of the positions from `first` on, which must follow those added before.
    package func add(_ scores: Span<Float>, first: Int) {
        scores.withUnsafeBufferPointer { scores in
            guard let start = scores.baseAddress else { return }
            add(start, count: scores.count, first: first)
        }
    }

    /// Adds what another stream kept of later positions.
    package func add(_ other: TopKStream) {
        other.keepBest()
        if capacity - used < other.used { keepBest() }
        precondition(capacity - used >= other.used)
        (ranks + used).update(from: other.ranks, count: other.used)
        (positions + used).update(from: other.positions, count: other.used)
        used += other.used
    }

    /// The chosen positions, ascending, then −1.
    package func finish(slots: Int) -> [Int32] {
        var chosen = [Int32](repeating: TokenSelection.unused, count: slots)
        chosen.withUnsafeMutableBufferPointer { finish(into: $0) }
        return chosen
    }

    /// Writes the chosen positions, ascending, then −1.
    func finish(into slots: UnsafeMutableBufferPointer<Int32>) {
        keepBest()
        for slot in slots.indices {
            slots[slot] = slot < used ? positions[slot] : TokenSelection.unused
        }
    }

    private func keepBest() {
        guard used > wanted else { return }
        floor = Kernels.keepHighest(wanted, of: used, ranks: ranks, positions: positions)
        used = wanted
    }
}

/// Exact selection of the k best scores.
///
/// The contract, fixed once for every path: a higher score wins; of equal scores (−0 equals 0) the earlier
/// position wins; a NaN never wins a place. Fewer candidates than k are all taken. The chosen positions come
/// out ascending, unused slots hold −1 at the end.
public struct TopK: Equatable, Sendable {
    /// The most positions to choose.
    public let count: Int

    /// Selection of at most `count` positions.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` unless `count` is at least 1.
    public init(_ count: Int) throws(SparseAttentionError) {
        guard count >= 1 else {
            throw .invalidSetting(name: "topK", found: "\(count)", expected: "at least 1")
        }
        self.count = count
    }

    /// Chooses among the scores of one row.
    ///
    /// - Parameter scores: one a position.
    /// - Returns: the chosen positions, ascending; at most `count`.
    public func select(_ scores: [Float]) -> [Int32] {
        var slots = [Int32](repeating: TokenSelection.unused, count: min(count, scores.count))
        scores.withUnsafeBufferPointer { scores in
            var span = slots.mutableSpan
            select(scores.span, into: &span)
        }
        return slots.filter { $0 >= 0 }
    }

    /// Chooses among the scores of one row.
    ///
    /// Three passes narrow the bit pattern of the last score to win, 12, 12 and 8 bits at a time; a last one
    /// collects positions. O(scores) whatever their order.
    ///
    /// - Parameters:
    ///   - scores: one a position.
    ///   - slots: overwritten: chosen positions ascending, then −1.
    package func select(_ scores: Span<Float>, into slots: inout MutableSpan<Int32>) {
        let wanted = min(count, slots.count)
        var used = 0
        if scores.count <= wanted {
            for position in scores.indices where !scores[unchecked: position].isNaN {
                slots[used] = Int32(truncatingIfNeeded: position)
                used += 1
            }
        } else {
            let threshold = Self.threshold(scores, wanted: wanted)
            var ties = threshold.ties
            for position in scores.indices where used < wanted {
                let rank = Self.rank(scores[unchecked: position])
                guard rank >= threshold.rank, rank > 0 else { continue }
                if rank == threshold.rank {
                    guard ties > 0 else { continue }
                    ties -= 1
                }
                slots[used] = Int32(truncatingIfNeeded: position)
                used += 1
            }
        }
        for slot in used..<slots.count {
            slots[slot] = TokenSelection.unused
        }
    }

    /// An unsigned number that orders as scores do: 0 for NaN, equal for −0 and 0.
    @inline(__always)
    private static func rank(_ score: Float) -> UInt32 {
        guard score == score else { return 0 }
        let bits = (score + 0).bitPattern  // −0 + 0 is 0
        // Flips the sign of a positive number and every bit of a negative one; no branch, signs are random.
        return bits ^ (UInt32(bitPattern: Int32(bitPattern: bits) >> 31) | 0x8000_0000)
    }

    /// The rank of the last score to win, and how many scores of that rank win.
    private static func threshold(_ scores: Span<Float>, wanted: Int) -> (rank: UInt32, ties: Int) {
        var prefix: UInt32 = 0
        var mask: UInt32 = 0
        var remaining = wanted
        for (shift, bits) in [(20, 12), (8, 12), (0, 8)] as [(UInt32, UInt32)] {
            let bins = 1 << Int(bits)
            let inside = withUnsafeTemporaryAllocation(of: UInt32.self, capacity: bins) { histogram in
                histogram.initialize(repeating: 0)
                for position in scores.indices {
                    let rank = rank(scores[unchecked: position])
                    if rank & mask == prefix {
                        histogram[Int(rank >> shift) & (bins - 1)] &+= 1
                    }
                }
                var bin = bins - 1
                while bin > 0, Int(histogram[bin]) < remaining {
                    remaining -= Int(histogram[bin])
                    bin -= 1
                }
                return UInt32(bin)
            }
            prefix |= inside << shift
            mask |= UInt32(bins - 1) << shift
        }
        return (prefix, remaining)
    }

    /// The definition: sorts all positions by the contract.
    package func reference(_ scores: [Float]) -> [Int32] {
        scores.indices
            .filter { !scores[$0].isNaN }
            .sorted { scores[$0] > scores[$1] || (scores[$0] == scores[$1] && $0 < $1) }
            .prefix(count)
            .sorted()
            .map { Int32($0) }
    }
}

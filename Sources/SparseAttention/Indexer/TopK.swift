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
    /// - Parameters:
    ///   - scores: one a position.
    ///   - slots: overwritten: chosen positions ascending, then −1.
    package func select(_ scores: Span<Float>, into slots: inout MutableSpan<Int32>) {
        let stream = TopKStream(self, slots: slots.count, candidates: scores.count)
        stream.add(scores, first: 0)
        slots.withUnsafeMutableBufferPointer { stream.finish(into: $0) }
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

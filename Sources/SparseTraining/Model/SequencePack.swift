import SparseAttention

/// Sequences laid one behind the other to run as one: the rows of all go through each product together, while a token
/// attends to its own sequence alone.
///
/// A product of the forty rows of a short text costs little more time than it takes to read the weights, and its gradient
/// is as large as that of a long one; together they cost one of each.
struct SequencePack: Sendable {
    /// The tokens of all sequences.
    let tokens: [Int]
    /// The rows of each sequence.
    let rows: [Range<Int>]

    /// Tokens of one pack, unless a single sequence has more.
    ///
    /// More gain little, and leave a step of a thousand tokens too few packs to share among threads.
    private static let capacity = 320

    /// Lays sequences one behind the other.
    init(_ sequences: [[Int]]) {
        tokens = Array(sequences.joined())
        var start = 0
        rows = sequences.map { sequence in
            defer { start += sequence.count }
            return start..<start + sequence.count
        }
    }

    /// Parts of some sequences that go into one pack each, in their order.
    ///
    /// - Parameter lengths: the tokens of each sequence.
    /// - Returns: ranges of sequences; they depend on nothing but the lengths.
    static func parts(_ lengths: [Int]) -> [Range<Int>] {
        var parts: [Range<Int>] = []
        var (start, tokens) = (0, 0)
        for (index, length) in lengths.enumerated() {
            if index > start, tokens + length > capacity {
                parts.append(start..<index)
                (start, tokens) = (index, 0)
            }
            tokens += length
        }
        if start < lengths.count { parts.append(start..<lengths.count) }
        return parts
    }

    /// The position of each row in its own sequence.
    var positions: [Int] { rows.flatMap { 0..<$0.count } }

    /// The rows that predict a token: all but the last of each sequence.
    var predicting: [Int] { rows.flatMap { $0.dropLast() } }

    // MARK: Selections

    /// One selection of all rows from that of each sequence.
    ///
    /// - Parameter selections: positions in their own sequence; nil where tokens see all before them.
    /// - Returns: positions in the pack; nil where nothing needs to be said, as a single sequence is seen whole.
    /// - Throws: `SparseAttentionError.dimensionMismatch` for a selection of another number of tokens.
    func joined(_ selections: [TokenSelection?]) throws(SparseAttentionError) -> TokenSelection? {
        if rows.count == 1 { return selections[0] }
        let parts = zip(rows, selections).map {
            $1 ?? .everything(queryTokens: $0.count, position: 0)
        }
        let slots = parts.reduce(0) { max($0, $1.slots) }
        var positions = [Int32](repeating: TokenSelection.unused, count: tokens.count * slots)
        for (range, part) in zip(rows, parts) {
            guard part.queryTokens == range.count else {
                throw .dimensionMismatch(
                    .queryTokens,
                    argument: "selection",
                    expected: range.count,
                    found: part.queryTokens
                )
            }
            for (token, row) in range.enumerated() {
                for (slot, position) in part[token].enumerated() where position >= 0 {
                    positions[row * slots + slot] = position + Int32(range.lowerBound)
                }
            }
        }
        return try TokenSelection(positions: positions, queryTokens: tokens.count, slots: slots)
    }

    /// Every token sees all of its sequence before it.
    var everything: TokenSelection? {
        get throws { try joined(rows.map { _ in nil }) }
    }
}

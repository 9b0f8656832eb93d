/// The tokens each query token attends to: one set for all heads.
///
/// A slot holds a zero-based position; a negative number marks an unused slot.
public struct TokenSelection: Equatable, Sendable {
    /// The number of query tokens.
    public let queryTokens: Int
    /// The slots of each query token.
    public let slots: Int
    /// The positions, `[queryTokens, slots]`.
    public let positions: [Int32]

    /// What an unused slot holds.
    public static let unused: Int32 = -1

    /// A selection from its slots.
    ///
    /// - Parameters:
    ///   - positions: `[queryTokens, slots]`, row-major.
    ///   - queryTokens: the number of rows.
    ///   - slots: the slots in a row.
    /// - Throws: `SparseAttentionError.shapeMismatch`.
    public init(positions: [Int32], queryTokens: Int, slots: Int) throws(SparseAttentionError) {
        let shape = try Shape([queryTokens, slots])
        guard positions.count == shape.count else {
            throw .shapeMismatch(argument: "positions", expected: shape, found: [positions.count])
        }
        self.init(trusted: positions, queryTokens: queryTokens, slots: slots)
    }

    init(trusted positions: [Int32], queryTokens: Int, slots: Int) {
        self.positions = positions
        self.queryTokens = queryTokens
        self.slots = slots
    }

    /// Every visible token: what attention is when the sequence is no longer than top-k.
    ///
    /// - Parameters:
    ///   - queryTokens: queries at `position ..< position + queryTokens`; each sees its own token and all earlier.
    ///   - position: the first query's position.
    /// - Returns: a selection of `position + queryTokens` slots.
    public static func everything(queryTokens: Int, position: Int) -> TokenSelection {
        let slots = position + queryTokens
        let positions = (0..<queryTokens).flatMap { token in
            (0..<slots).map { $0 <= position + token ? Int32($0) : unused }
        }
        return TokenSelection(trusted: positions, queryTokens: queryTokens, slots: slots)
    }

    /// The slots of one query token.
    public subscript(queryToken: Int) -> ArraySlice<Int32> {
        positions[queryToken * slots..<(queryToken + 1) * slots]
    }

    /// The positions in use for each query token, ascending: the form in which two selections compare.
    public var sets: [[Int32]] {
        (0..<queryTokens).map { self[$0].filter { $0 >= 0 }.sorted() }
    }
}

// MARK: - Causal sets

extension TokenSelection {
    /// The same tokens, each once and ascending, without those after their query token.
    ///
    /// - Parameter position: the position of the first query token.
    /// - Returns: the selection as a set.
    func causal(from position: Int) -> TokenSelection {
        guard !isCausal(from: position) else { return self }
        var causal = [Int32](repeating: Self.unused, count: positions.count)
        for (token, set) in sets.enumerated() {
            var (slot, last) = (token * slots, Self.unused)
            for chosen in set where chosen > last && Int(chosen) <= position + token {
                causal[slot] = chosen
                slot += 1
                last = chosen
            }
        }
        return TokenSelection(trusted: causal, queryTokens: queryTokens, slots: slots)
    }

    /// Whether the used slots of every query token ascend and end at its own position.
    private func isCausal(from position: Int) -> Bool {
        for token in 0..<queryTokens {
            var last = Self.unused
            for chosen in self[token] where chosen >= 0 {
                guard chosen > last, Int(chosen) <= position + token else { return false }
                last = chosen
            }
        }
        return true
    }
}

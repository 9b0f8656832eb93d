import SparseAttention

/// How far a selection chooses the tokens that another one chose.
public struct SelectionAgreement: Equatable, Sendable {
    /// The tokens chosen by the other, over all query tokens that have a choice.
    public private(set) var chosen = 0
    /// Those of them that this one chooses, too.
    public private(set) var shared = 0

    /// Nothing compared yet.
    init() {}

    /// Compares two selections of the same query tokens.
    ///
    /// - Parameters:
    ///   - own: the selection that is measured.
    ///   - other: the one it is measured against.
    ///   - positions: those of the query tokens in their sequence.
    init(of own: TokenSelection, with other: TokenSelection, positions: [Int]) {
        for (position, sets) in zip(positions, zip(own.sets, other.sets)) where sets.1.count <= position {
            chosen += sets.1.count
            shared += Set(sets.0).intersection(sets.1).count
        }
    }

    /// The share; nil where nothing was to be chosen.
    public var share: Double? { chosen > 0 ? Double(shared) / Double(chosen) : nil }

    static func += (sum: inout SelectionAgreement, other: SelectionAgreement) {
        sum.chosen += other.chosen
        sum.shared += other.shared
    }
}

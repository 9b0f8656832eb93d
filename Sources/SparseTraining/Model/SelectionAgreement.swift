import SparseAttention

/// How far a selection chooses the tokens that another one chose.
public struct SelectionAgreement: Equatable, Sendable {
    /// The tokens chosen by the other, over all query tokens that have a choice.
    public private(set) var chosen = 0
    /// Those of them that this one chooses, too.
    public private(set) var shared = 0

    /// Nothing compared yet.
    init() {}

    /// Compares two selections of the same query tokens, which begin at position 0.
    init(of own: TokenSelection, with other: TokenSelection) {
        for (token, pair) in zip(own.sets, other.sets).enumerated() where pair.1.count <= token {
            chosen += pair.1.count
            shared += Set(pair.0).intersection(pair.1).count
        }
    }

    /// The share; nil where nothing was to be chosen.
    public var share: Double? { chosen > 0 ? Double(shared) / Double(chosen) : nil }

    static func += (sum: inout SelectionAgreement, other: SelectionAgreement) {
        sum.chosen += other.chosen
        sum.shared += other.shared
    }
}

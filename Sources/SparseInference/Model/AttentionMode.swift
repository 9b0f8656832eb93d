/// Which tokens the attention of a model sees.
public enum AttentionMode: String, Equatable, Sendable, CaseIterable {
    /// Those the lightning indexer selects; all of them in a model without an indexer.
    case sparse
    /// All earlier tokens.
    case dense
}

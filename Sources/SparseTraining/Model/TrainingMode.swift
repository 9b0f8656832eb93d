import SparseInference

/// What a forward pass attends to, and what its backward pass trains.
public struct TrainingMode: Equatable, Sendable {
    /// Which tokens the main attention sees.
    public enum Attention: String, Sendable, Codable {
        /// All earlier tokens.
        case dense
        /// Those the indexer selects, once there are more than top-k.
        case sparse

        /// The same of a model that answers.
        var answering: AttentionMode { self == .dense ? .dense : .sparse }
    }

    /// Which tokens the main attention sees.
    public var attention: Attention
    /// Whether the language model's loss trains everything but the indexer.
    public var trainsTrunk: Bool
    /// Whether the indexer is trained to match the main attention: over all visible tokens where that is dense, over the
    /// selected ones where it is sparse.
    public var trainsIndexer: Bool
    /// What the sequence-wise balance loss of the experts counts for; 0 for none.
    public var balanceLoss: Float

    /// A mode.
    public init(attention: Attention, trainsTrunk: Bool, trainsIndexer: Bool, balanceLoss: Float = 0) {
        self.attention = attention
        self.trainsTrunk = trainsTrunk
        self.trainsIndexer = trainsIndexer
        self.balanceLoss = balanceLoss
    }

    /// The predecessor of a sparse model: dense attention, no indexer.
    public static let densePretraining = TrainingMode(
        attention: .dense,
        trainsTrunk: true,
        trainsIndexer: false
    )
    /// Everything frozen but the indexer.
    ///
    /// Source: V3.2-Exp report §2.1, "Dense Warm-up Stage".
    public static let denseWarmUp = TrainingMode(attention: .dense, trainsTrunk: false, trainsIndexer: true)
    /// Everything trains, the indexer by its own loss alone.
    ///
    /// Source: V3.2-Exp report §2.1, "Sparse Training Stage".
    public static let sparseTraining = TrainingMode(
        attention: .sparse,
        trainsTrunk: true,
        trainsIndexer: true
    )
}

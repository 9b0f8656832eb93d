import SparseAttention
import SparseInference

extension LanguageModel {
    /// The logits after each of some tokens, `[tokens, vocabularySize]`, in a session of their own.
    func allLogits(
        _ tokens: [Int],
        _ options: ForwardOptions = ForwardOptions(),
        chunk: Int = Session.defaultChunk,
        cacheFormat: CacheFormat = .float32
    ) throws -> Tensor {
        let session = try Session(self, capacity: tokens.count, cacheFormat: cacheFormat)
        return try session.extendWithAllLogits(by: tokens, options: options, chunk: chunk)
    }
}

/// Keeps what a forward pass of one chunk records.
final class StageLog {
    /// A stage of a layer; the layer is nil outside the layers.
    struct Key: Hashable {
        let stage: Stage
        let layer: Int?
    }

    private var values: [Key: StageProbe.Value] = [:]

    /// What to pass along.
    var probe: StageProbe {
        StageProbe { [self] stage, layer, value in
            values[Key(stage: stage, layer: layer)] = value
        }
    }

    /// The layers that recorded a stage, in order.
    func layers(_ stage: Stage) -> [Int] {
        values.keys.filter { $0.stage == stage }.compactMap(\.layer).sorted()
    }

    /// The numbers of a stage.
    func tensor(_ stage: Stage, layer: Int? = nil) -> Tensor? {
        guard case .tensor(let tensor) = values[Key(stage: stage, layer: layer)] else { return nil }
        return tensor
    }

    /// The tokens each query token may use.
    func selection(layer: Int) -> [[Int32]]? {
        guard case .selection(let selection) = values[Key(stage: .selection, layer: layer)] else {
            return nil
        }
        return selection.sets
    }

    /// The experts each token was routed to.
    func experts(layer: Int) -> [[Int]]? {
        guard case .choices(let choices) = values[Key(stage: .experts, layer: layer)] else { return nil }
        return choices
    }
}

package import Foundation
package import SparseAttention
package import SparseInference

/// The stages of one forward pass, as named tensors.
package struct StageDump {
    /// The version of the names and shapes.
    package static let formatVersion = "1"

    /// The tensors by name.
    package private(set) var tensors: [String: StoredTensor]
    /// What the file says about itself.
    package let metadata: [String: String]

    /// Runs a prompt and keeps every stage.
    ///
    /// - Parameters:
    ///   - tokens: the prompt.
    ///   - model: the model.
    ///   - attention: which tokens the attention sees.
    ///   - form: the form of latent attention; nil for the cheaper.
    ///   - chunk: how many tokens to run at a time.
    ///   - stages: the stages to keep; nil for all.
    /// - Throws: what `Session` throws.
    package init(
        of tokens: [Int],
        on model: LanguageModel,
        attention: AttentionMode = .sparse,
        form: LatentAttention.Form? = nil,
        chunk: Int = Session.defaultChunk,
        stages: Set<String>? = nil
    ) throws {
        let collector = StageCollector(stages: stages)
        let session = try Session(model, capacity: max(tokens.count, 1))
        let logits = try session.extendWithAllLogits(
            by: tokens,
            options: ForwardOptions(attention: attention, form: form, probe: collector.probe),
            chunk: chunk
        )
        var tensors = collector.stored()
        if stages?.contains("logits") ?? true {
            tensors["logits"] = StoredTensor(
                logits.elements,
                shape: [tokens.count, model.configuration.vocabularySize]
            )
        }
        tensors["input_ids"] = StoredTensor(tokens.map(Int32.init), shape: [tokens.count])
        self.tensors = tensors
        metadata = [
            "format": "dsa-stages", "version": Self.formatVersion, "precision": "\(model.precision)",
            "family": model.configuration.family.rawValue, "attention": attention.rawValue,
            "topk": "\(model.configuration.indexer?.topK ?? 0)",
        ]
    }

    /// Writes the dump to a safetensors file.
    package func write(to url: URL) throws {
        try SafetensorsWriter.write(tensors, metadata: metadata, to: url)
    }
}

/// Gathers the stages of all chunks.
private final class StageCollector {
    private let stages: Set<String>?
    private var floats: [String: (elements: [Float], shape: [Int])] = [:]
    private var lists: [String: [[Int32]]] = [:]

    init(stages: Set<String>?) {
        self.stages = stages
    }

    var probe: StageProbe {
        StageProbe { [self] stage, layer, value in
            guard stages?.contains(stage.rawValue) ?? true else { return }
            let name = layer.map { "layer\($0).\(stage.rawValue)" } ?? stage.rawValue
            switch value {
            case .tensor(let tensor):
                let shape = tensor.shape.dimensions
                let elements = (floats[name]?.elements ?? []) + tensor.elements
                let tokens = (floats[name]?.shape.first ?? 0) + shape[0]
                floats[name] = (elements, [tokens] + shape.dropFirst())
            case .selection(let selection):
                lists[name, default: []] += (0..<selection.queryTokens).map { token in
                    selection[token].filter { $0 >= 0 }.sorted()
                }
            case .choices(let choices):
                lists[name, default: []] += choices.map { $0.map(Int32.init) }
            }
        }
    }

    func stored() -> [String: StoredTensor] {
        var result = floats.mapValues { StoredTensor($0.elements, shape: $0.shape) }
        for (name, rows) in lists {
            let width = rows.map(\.count).max() ?? 0
            let padded = rows.flatMap { $0 + [Int32](repeating: -1, count: width - $0.count) }
            result[name] = StoredTensor(padded, shape: [rows.count, width])
        }
        return result
    }
}

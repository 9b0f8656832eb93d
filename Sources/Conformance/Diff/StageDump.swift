package import Foundation
package import SparseAttention
package import SparseInference

/// The stages of one forward pass, as named tensors.
package struct StageDump {
    /// The version of the names and shapes.
    package static let formatVersion = "2"

    /// The tensors by name.
    package private(set) var tensors: [String: StoredTensor]
    /// What the file says about itself.
    package let metadata: [String: String]

    /// How a dump was made, as its metadata tell: what it takes to make it again.
    package struct Run: Equatable {
        /// The numerics.
        package var precision = LanguageModel.Precision.float32
        /// Which tokens the attention saw.
        package var attention = AttentionMode.sparse
        /// The form of latent attention; nil for the cheaper.
        package var form: LatentAttention.Form?
        /// How many tokens were run at a time.
        package var chunk = Session.defaultChunk
        /// Where the checkpoint lay.
        package var checkpoint: String?

        /// A run.
        package init(attention: AttentionMode = .sparse, form: LatentAttention.Form? = nil, chunk: Int) {
            self.attention = attention
            self.form = form
            self.chunk = chunk
        }

        /// The run a dump tells of; what it leaves out is as usual.
        package init(_ metadata: [String: String]) {
            precision = metadata["precision"].flatMap(LanguageModel.Precision.init(name:)) ?? precision
            attention = metadata["attention"].flatMap(AttentionMode.init(rawValue:)) ?? attention
            form = metadata["form"].flatMap(LatentAttention.Form.init(rawValue:))
            chunk = metadata["chunk"].flatMap(Int.init).map { max($0, 1) } ?? chunk
            checkpoint = metadata["checkpoint"]
        }
    }

    /// Runs a prompt and keeps every stage.
    ///
    /// - Parameters:
    ///   - tokens: the prompt.
    ///   - model: the model.
    ///   - run: how to run it; its numerics are the model's.
    ///   - stages: the stages to keep; nil for all.
    /// - Throws: what `Session` throws.
    package init(
        of tokens: [Int],
        on model: LanguageModel,
        run: Run = Run(chunk: Session.defaultChunk),
        stages: Set<Stage>? = nil
    ) throws {
        let collector = StageCollector(stages: stages)
        let session = try Session(model, capacity: max(tokens.count, 1))
        let logits = try session.extendWithAllLogits(
            by: tokens,
            options: ForwardOptions(attention: run.attention, form: run.form, probe: collector.probe),
            chunk: run.chunk
        )
        collector.probe.record(.logits, nil, .tensor(logits))
        tensors = collector.stored()
        tensors["input_ids"] = StoredTensor(tokens.map(Int32.init), shape: [tokens.count])
        var metadata = [
            "format": "dsa-stages", "version": Self.formatVersion, "precision": "\(model.precision)",
            "family": model.configuration.family.rawValue, "attention": run.attention.rawValue,
            "chunk": "\(run.chunk)", "topk": "\(model.configuration.indexer?.topK ?? 0)",
            "checkpoint": model.folder.standardizedFileURL.path,
        ]
        metadata["form"] = run.form?.rawValue
        self.metadata = metadata
    }

    /// Writes the dump to a safetensors file.
    package func write(to url: URL) throws {
        try SafetensorsWriter.write(tensors, metadata: metadata, to: url)
    }
}

/// Gathers the stages of all chunks.
private final class StageCollector {
    private let stages: Set<Stage>?
    private var floats: [String: (elements: [Float], shape: [Int])] = [:]
    private var codes: [String: (elements: [UInt8], shape: [Int])] = [:]
    private var lists: [String: [[Int32]]] = [:]
    private var scores: [String: [[Float]]] = [:]

    init(stages: Set<Stage>?) {
        self.stages = stages
    }

    var probe: StageProbe {
        StageProbe { [self] stage, layer, value in
            guard stages?.contains(stage) ?? true else { return }
            let name = layer.map { "layer\($0).\(stage.rawValue)" } ?? stage.rawValue
            switch value {
            case .tensor(let tensor) where stage == .indexScores:
                // A later chunk sees more tokens: rows of one dump differ in length.
                let width = tensor.shape[1]
                scores[name, default: []] += (0..<tensor.shape[0]).map { row in
                    (0..<width).map { tensor[row * width + $0] }
                }
            case .tensor(let tensor):
                let shape = tensor.shape.dimensions
                let known = floats[name] ?? ([], [0])
                floats[name] = (
                    known.elements + tensor.elements, [known.shape[0] + shape[0]] + shape.dropFirst()
                )
            case .codes(let new, let shape):
                let known = codes[name] ?? ([], [0])
                codes[name] = (known.elements + new, [known.shape[0] + shape[0]] + shape.dropFirst())
            case .selection(let selection):
                lists[name, default: []] += selection.sets
            case .choices(let choices):
                lists[name, default: []] += choices.map { $0.map(Int32.init) }
            }
        }
    }

    func stored() -> [String: StoredTensor] {
        var result = floats.mapValues { StoredTensor($0.elements, shape: $0.shape) }
        for (name, part) in codes {
            result[name] = StoredTensor(dataType: .float8E4M3, shape: part.shape, bytes: Data(part.elements))
        }
        for (name, rows) in lists {
            let (elements, width) = padded(rows, with: TokenSelection.unused)
            result[name] = StoredTensor(elements, shape: [rows.count, width])
        }
        for (name, rows) in scores {
            let (elements, width) = padded(rows, with: -.infinity)
            result[name] = StoredTensor(elements, shape: [rows.count, width])
        }
        return result
    }

    private func padded<Element>(_ rows: [[Element]], with filler: Element) -> ([Element], width: Int) {
        let width = rows.map(\.count).max() ?? 0
        return (rows.flatMap { $0 + [Element](repeating: filler, count: width - $0.count) }, width)
    }
}

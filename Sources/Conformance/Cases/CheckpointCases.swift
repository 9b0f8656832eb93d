import Foundation
import SparseAttention
import SparseInference

/// Part C: whole tiny checkpoints, against Hugging Face in float32.
struct CheckpointCases {
    let folder: URL
    let name: String
    /// A mistake to make on purpose.
    let mistake: Mistake?

    /// The largest difference of a logit from Hugging Face's.
    private static let logitBound = 2e-4
    /// The largest difference of a hidden state, as a share of the largest entry.
    private static let hiddenBound = 1e-4

    /// A way to run a prompt, all of which have to agree with the golden data.
    struct Run {
        let name: String
        let chunk: Int
        let form: LatentAttention.Form?

        static let all = [
            Run(name: "whole", chunk: 1 << 20, form: nil),
            Run(name: "chunks-of-1", chunk: 1, form: nil),
            Run(name: "chunks-of-7", chunk: 7, form: nil),
            Run(name: "chunks-of-64", chunk: 64, form: nil),
            Run(name: "absorbed", chunk: 1 << 20, form: .absorbed),
            Run(name: "expanded", chunk: 1 << 20, form: .expanded),
        ]
    }

    init(_ folder: URL, mistake: Mistake? = nil) throws {
        self.folder = folder
        self.mistake = mistake
        name = "checkpoints/" + folder.lastPathComponent
    }

    var all: [ConformanceCase] {
        get throws {
            let configuration = try ModelConfiguration(
                contentsOf: folder.appendingPathComponent("config.json")
            )
            let golden = try GoldenFile(folder.appendingPathComponent("golden.safetensors"))
            let tokenizer = ConformanceCase("\(name)/tokenizer") { try compareTokenizer(configuration) }
            let prompts = golden.groups("prompt", endingBefore: ".input_ids").filter { !$0.contains(".") }
            return [tokenizer]
                + prompts.flatMap { prompt in
                    Run.all.map { run in
                        ConformanceCase("\(name)/\(prompt)/\(run.name)") {
                            try compare(prompt, run: run, golden: golden)
                        }
                    }
                }
                + prompts.filter { golden.contains($0 + ".mtp_logits") }.map { prompt in
                    ConformanceCase("\(name)/\(prompt)/prediction") { try comparePrediction(prompt, golden) }
                }
                + deployedCases(golden, prompts: prompts)
        }
    }

    /// The checkpoint's tokenizer has to load and to fit the model.
    private func compareTokenizer(_ configuration: ModelConfiguration) throws -> Outcome {
        let tokenizer = try Tokenizer(contentsOf: folder)
        let text = "The quick brown fox, 123 times: 你好 😀\n"
        let isFitting = tokenizer.vocabularySize <= configuration.vocabularySize
        let isReversible = try tokenizer.decode(tokenizer.encode(text)) == text
        return .measured(Measurement(error: isFitting && isReversible ? 0 : 1, bound: 0))
    }

    private func compare(_ prompt: String, run: Run, golden: GoldenFile) throws -> Outcome {
        let model = try LanguageModel(contentsOf: folder, mistake: mistake)
        let ids = try golden.ints(prompt + ".input_ids")
        let greedy = try golden.ints(prompt + ".greedy_ids")
        let session = try Session(model, capacity: ids.count + greedy.count)
        let recorder = StageRecorder()
        let logits = try session.extendWithAllLogits(
            by: ids,
            options: ForwardOptions(form: run.form, probe: recorder.probe),
            chunk: run.chunk
        )
        // Stage by stage in the order of the computation: the first that diverges explains the rest.
        let stages =
            try stageMeasurements(prompt, recorder, golden)
            + [
                Comparison.absolute(
                    logits.elements,
                    try golden.floats(prompt + ".logits"),
                    bound: Self.logitBound,
                    as: "logits"
                )
            ]
        if let first = stages.first(where: { !$0.isPassed }) {
            return .measured(
                Measurement(error: first.error, bound: first.bound, place: "first at " + first.place)
            )
        }
        let continued = try continueGreedily(session, from: logits, count: greedy.count, form: run.form)
        let decoded = Comparison.equal(continued, greedy, as: "greedy_ids")
        guard decoded.isPassed, let last = stages.last else { return .measured(decoded) }
        return .measured(last)
    }

    /// The prediction layer, with the model's own hidden states.
    private func comparePrediction(_ prompt: String, _ golden: GoldenFile) throws -> Outcome {
        let model = try LanguageModel(contentsOf: folder, mistake: mistake)
        let ids = try golden.ints(prompt + ".input_ids")
        var hidden = Tensor(repeating: 0, shape: [0, model.configuration.hiddenDim])
        let probe = StageProbe { stage, _, value in
            if case (.finalNorm, .tensor(let tensor)) = (stage, value) { hidden = tensor }
        }
        _ = try Session(model, capacity: ids.count).extendWithAllLogits(
            by: ids,
            options: ForwardOptions(probe: probe),
            chunk: ids.count
        )
        guard let layer = try model.predictionLayer() else {
            return .measured(Measurement(error: .infinity, bound: 0, place: "no prediction layer"))
        }
        let configuration = model.configuration
        let cache = try LayerCache(
            configuration: configuration,
            layer: configuration.layers,
            capacity: ids.count,
            format: .float32,
            indexScores: .float32
        )
        let rows = try layer(
            Array(ids.dropFirst()),
            hidden: hidden.slice(0..<ids.count - 1),
            cache: cache,
            attention: .sparse
        )
        return .measured(
            Comparison.absolute(
                layer.logits(rows).elements,
                try golden.floats(prompt + ".mtp_logits"),
                bound: Self.logitBound,
                as: "mtp_logits"
            )
        )
    }

    private func stageMeasurements(
        _ prompt: String,
        _ recorder: StageRecorder,
        _ golden: GoldenFile
    ) throws -> [Measurement] {
        var measurements: [Measurement] = []
        for stage in recorder.order {
            let (label, golden) = ("\(prompt).\(stage.goldenName)", golden)
            guard golden.contains(label) else { continue }
            switch recorder.values[stage] {
            case .numbers(let numbers):
                measurements.append(
                    Comparison.relativeToLargest(
                        numbers,
                        try golden.floats(label),
                        bound: Self.hiddenBound,
                        as: stage.goldenName
                    )
                )
            case .sets(let sets):
                let expected = try golden.selection(label).sets
                measurements.append(Comparison.equal(sets, expected, as: stage.goldenName))
            case nil: break
            }
        }
        return measurements
    }

    func continueGreedily(
        _ session: Session,
        from logits: Tensor,
        count: Int,
        form: LatentAttention.Form?
    ) throws -> [Int] {
        var row = try logits.slice(logits.shape[0] - 1..<logits.shape[0]).elements
        var ids: [Int] = []
        for step in 0..<count {
            let best = row.indices.reduce(0) { row[$1] > row[$0] ? $1 : $0 }
            ids.append(best)
            if step + 1 < count {
                row = try session.extendWithAllLogits(by: [best], options: ForwardOptions(form: form))
                    .elements
            }
        }
        return ids
    }
}

/// Collects the stages of a chunked forward pass.
final class StageRecorder {
    struct Key: Hashable {
        let stage: Stage
        let layer: Int?

        /// What golden data call the stage.
        var goldenName: String {
            let layer = layer.map { "layer\($0)" } ?? ""
            return switch stage {
            case .embedding: "hidden.embed"
            case .hidden: "hidden.\(layer)"
            case .finalNorm: "hidden.final_norm"
            case .selection: "topk.\(layer)"
            case .experts: "experts.\(layer)"
            default: "\(stage.rawValue).\(layer)"
            }
        }
    }

    enum Value {
        case numbers([Float])
        case sets([[Int32]])
    }

    private(set) var order: [Key] = []
    private(set) var values: [Key: Value] = [:]

    var probe: StageProbe {
        StageProbe { [self] stage, layer, value in
            let key = Key(stage: stage, layer: layer)
            if values[key] == nil { order.append(key) }
            switch (values[key], value) {
            case (.numbers(let earlier), .tensor(let tensor)):
                values[key] = .numbers(earlier + tensor.elements)
            case (_, .tensor(let tensor)): values[key] = .numbers(tensor.elements)
            case (_, .codes): break
            case (let earlier, .selection(let selection)): append(selection.sets, to: earlier, at: key)
            case (let earlier, .choices(let choices)):
                append(choices.map { $0.map(Int32.init) }, to: earlier, at: key)
            }
        }
    }

    private func append(_ sets: [[Int32]], to earlier: Value?, at key: Key) {
        if case .sets(let known) = earlier {
            values[key] = .sets(known + sets)
        } else {
            values[key] = .sets(sets)
        }
    }
}

import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// Part F: losses, gradients and optimizer steps of whole tiny models, against a framework's automatic differentiation.
struct TrainingCases {
    /// The folder of part F; checkpoints lie beside it or in it.
    let folder: URL
    private let parameters: JSONValue

    /// The largest error of a loss, as a share of it.
    private static let lossBound = 1e-5
    /// The same after steps of the optimizer.
    private static let stepLossBound = 1e-4
    /// The largest error of a parameter after five steps.
    private static let parameterBound = 5e-6
    /// The largest error of the sum of a parameter's numbers.
    private static let sumBound = 1e-3
    /// The largest error of the sum of their squares, as a share of it.
    private static let squaresBound = 1e-5

    init(_ folder: URL) throws {
        self.folder = folder
        parameters = try readJSON(folder.appendingPathComponent("training.json"))
    }

    var all: [ConformanceCase] {
        get throws {
            try FileManager.default.contentsOfDirectory(atPath: folder.path)
                .filter { $0.hasSuffix(".safetensors") }
                .map { String($0.dropLast(".safetensors".count)) }
                .sorted()
                .flatMap { name in try cases(of: name) }
        }
    }

    private func cases(of name: String) throws -> [ConformanceCase] {
        let golden = try GoldenFile(folder.appendingPathComponent(name + ".safetensors"))
        switch name.prefix(while: { $0 != "." }) {
        case "lm": return [item(name) { try languageModel(name, golden) }]
        case "indexer": return [item(name) { try indexer(name, golden) }]
        case "adamw": return [item(name) { try optimizer(name, golden) }]
        case "formulas": return try FormulaCases(golden, parameters: parameters.at("formulas")).all
        default: return [.skipped("training/" + name, because: "this version does not know such a case")]
        }
    }

    private func item(_ name: String, _ run: @escaping () throws -> [Measurement]) -> ConformanceCase {
        ConformanceCase("training/" + name) { .worst(try run()) }
    }

    /// A model of the data, and the batch of a case.
    private struct Setting {
        let model: TrainableModel
        var parameters: ParameterSet
        let sequences: [[Int]]
        let topK: Int?

        /// Whether there is something to select.
        var attention: TrainingMode.Attention {
            topK.map { sequences[0].count > $0 } == true ? .sparse : .dense
        }

        /// Each sequence by itself, and all as one.
        var batchings: [[[[Int]]]] { [sequences.map { [$0] }, [sequences]] }

        /// The number of predictions.
        var predictions: Int { sequences.count * (sequences[0].count - 1) }
    }

    private func setting(_ name: String, _ golden: GoldenFile) throws -> Setting {
        let model = name.split(separator: ".").dropFirst().first.map(String.init) ?? ""
        let candidates = [
            folder.appendingPathComponent(model),
            folder.deletingLastPathComponent().appendingPathComponent("checkpoints/" + model),
        ]
        guard
            let checkpoint = candidates.first(where: {
                FileManager.default.fileExists(atPath: $0.appendingPathComponent("config.json").path)
            })
        else { throw GoldenFault.missingKey(model) }
        let configuration = try ModelConfiguration(
            contentsOf: checkpoint.appendingPathComponent("config.json")
        )
        let topK = try parameters.at(name).object?["index_topk"]?.int
        let shape = try golden.shape("input_ids")
        let ids = try golden.ints("input_ids")
        guard shape.count == 2, shape[0] > 0, shape[1] > 1 else { throw GoldenFault.emptyTensor("input_ids") }
        guard let stray = ids.first(where: { !(0..<configuration.vocabularySize).contains($0) }) else {
            return Setting(
                model: try TrainableModel(configuration, topK: topK),
                parameters: try ParameterSet(contentsOf: checkpoint, configuration: configuration),
                sequences: (0..<shape[0]).map { Array(ids[$0 * shape[1]..<($0 + 1) * shape[1]]) },
                topK: topK
            )
        }
        throw SparseAttentionError.positionOutOfRange(
            position: stray,
            allowed: 0..<configuration.vocabularySize
        )
    }

    private func languageModel(_ name: String, _ golden: GoldenFile) throws -> [Measurement] {
        let setting = try setting(name, golden)
        return try setting.batchings.flatMap { batches in
            let (losses, gradients) = try languageModel(setting, batches)
            let expected = try golden.floats("loss_per_token")
            let mean = losses.reduce(0) { $0 + Double($1) } / Double(setting.predictions)
            return [
                Comparison.share(losses, expected, bound: Self.lossBound, as: "loss_per_token"),
                Comparison.share([Float(mean)], try golden.floats("loss"), bound: Self.lossBound, as: "loss"),
            ] + (try compare(gradients, golden, prefix: "grad."))
        }
    }

    /// Losses and gradients of batches.
    private func languageModel(_ setting: Setting, _ batches: [[[Int]]]) throws
        -> (losses: [Float], gradients: ParameterSet)
    {
        var gradients = ParameterSet()
        let mode = TrainingMode(attention: setting.attention, trainsTrunk: true, trainsIndexer: false)
        let losses = try batches.flatMap { sequences in
            try setting.model.accumulate(
                sequences.map { .init(tokens: $0, weight: 1 / Float(setting.predictions)) },
                setting.parameters,
                mode: mode,
                into: &gradients
            ).losses
        }
        return (losses.flatMap { $0 }, gradients)
    }

    /// Compares gradients, tensor by tensor; one that golden data do not name has to be absent.
    private func compare(
        _ gradients: ParameterSet,
        _ golden: GoldenFile,
        prefix: String
    ) throws -> [Measurement] {
        let expected = golden.file.names.filter { $0.hasPrefix(prefix) }
        let surplus = Set(gradients.names).subtracting(expected.map { String($0.dropFirst(prefix.count)) })
        return [Comparison.equal(surplus.sorted(), [], as: "parameters that get no gradient")]
            + (try expected.map { name in
                let found = gradients.find(String(name.dropFirst(prefix.count)))?.elements ?? []
                return Comparison.gradient(found, try golden.floats(name), as: name)
            })
    }

    private func indexer(_ name: String, _ golden: GoldenFile) throws -> [Measurement] {
        let setting = try setting(name, golden)
        let stage = try parameters.at(name).text("stage")
        let mode = TrainingMode(
            attention: stage == "sparse" ? .sparse : .dense,
            trainsTrunk: false,
            trainsIndexer: true
        )
        let queries = Float(setting.sequences.count * setting.sequences[0].count)
        var measurements: [Measurement] = []
        let kinds = [("sum", Float(1)), ("mean", 1 / queries)]
        for (kind, weight) in kinds {
            for batches in setting.batchings {
                var gradients = ParameterSet()
                let outcomes = try batches.map { sequences in
                    try setting.model.accumulate(
                        sequences.map { .init(tokens: $0, weight: 0) },
                        setting.parameters,
                        mode: mode,
                        indexerWeight: weight,
                        into: &gradients
                    )
                }
                let layers = (outcomes.first?.indexerLosses ?? []).indices.map { layer in
                    outcomes.flatMap { $0.indexerLosses[layer] }
                }
                let sums = layers.map { Float($0.reduce(0) { $0 + Double($1) } * Double(weight)) }
                measurements += [
                    Comparison.close(
                        layers.flatMap { $0 },
                        try golden.floats("loss_per_query"),
                        bound: Self.lossBound,
                        as: "loss_per_query"
                    ),
                    Comparison.share(
                        sums,
                        try golden.floats("loss_\(kind).per_layer"),
                        bound: Self.lossBound,
                        as: "loss_\(kind).per_layer"
                    ),
                    Comparison.share(
                        [sums.reduce(0, +)],
                        try golden.floats("loss_" + kind),
                        bound: Self.lossBound,
                        as: "loss_" + kind
                    ),
                ]
                measurements += try compare(gradients, golden, prefix: "grad_\(kind).")
            }
        }
        return measurements
    }

    private func optimizer(_ name: String, _ golden: GoldenFile) throws -> [Measurement] {
        var setting = try setting(name, golden)
        let options = try parameters.at(name)
        let betas = try options.at("betas").array?.compactMap(\.double) ?? []
        guard betas.count == 2 else { throw GoldenFault.missingKey("betas") }
        var optimizer = AdamW(
            .init(
                beta1: Float(betas[0]),
                beta2: Float(betas[1]),
                epsilon: Float(try options.number("eps")),
                weightDecay: Float(try options.number("weight_decay"))
            )
        )
        let clip = options.object?["clip"]?.double
        let names = try options.at("parameters").array?.compactMap(\.string) ?? []
        let shape = try golden.shape("checksum.sum")
        guard !names.isEmpty, shape == [shape.first ?? 0, names.count],
            names.allSatisfy({ setting.parameters.find($0) != nil })
        else { throw GoldenFault.missingKey("parameters") }
        var found = (losses: [Float](), norms: [Float](), sums: [Float](), squares: [Float]())
        for _ in 0..<shape[0] {
            var (losses, gradients) = try languageModel(setting, [setting.sequences])
            found.losses.append(Float(losses.reduce(0) { $0 + Double($1) } / Double(setting.predictions)))
            found.norms.append(Float(clip.map { gradients.clip(toNorm: $0) } ?? gradients.norm))
            let rate = Float(try options.number("lr"))
            optimizer.update(&setting.parameters, by: gradients) { _ in rate }
            for name in names {
                let elements = setting.parameters[name].elements.map { Double($0) }
                found.sums.append(Float(elements.reduce(0, +)))
                found.squares.append(Float(elements.reduce(0) { $0 + $1 * $1 }))
            }
        }
        func doubles(_ name: String) throws -> [Float] {
            try golden.file.doubles(of: name).map { Float($0) }
        }
        return [
            Comparison.share(found.losses, try doubles("loss"), bound: Self.stepLossBound, as: "loss"),
            Comparison.share(
                found.norms,
                try doubles("grad_norm"),
                bound: Self.stepLossBound,
                as: "grad_norm"
            ),
            Comparison.absolute(
                found.sums,
                try doubles("checksum.sum"),
                bound: Self.sumBound,
                as: "checksum.sum"
            ),
            Comparison.share(
                found.squares,
                try doubles("checksum.sum_of_squares"),
                bound: Self.squaresBound,
                as: "checksum.sum_of_squares"
            ),
        ]
            + (try golden.file.names.filter { $0.hasPrefix("after5.") }.map { name in
                Comparison.absolute(
                    setting.parameters.find(String(name.dropFirst("after5.".count)))?.elements ?? [],
                    try golden.floats(name),
                    bound: Self.parameterBound,
                    as: name
                )
            })
    }
}

extension Comparison {
    /// The largest `|a − b| / |b|`.
    static func share(_ found: [Float], _ expected: [Float], bound: Double, as what: String) -> Measurement {
        worst(found, expected, bound: bound, as: what) { abs($0 - $1) / max(abs($1), .leastNormalMagnitude) }
    }

    /// The norm of the difference as a share of the expected norm, or by itself where that is 0.
    static func gradient(_ found: [Float], _ expected: [Float], as what: String) -> Measurement {
        guard found.count == expected.count else {
            return Measurement(
                error: .infinity,
                bound: gradientBound,
                place: "\(what): \(found.count) elements, expected \(expected.count)"
            )
        }
        func norm(_ values: some Sequence<Double>) -> Double {
            values.reduce(0) { $0 + $1 * $1 }.squareRoot()
        }
        let difference = norm(zip(found, expected).lazy.map { Double($0) - Double($1) })
        let size = norm(expected.lazy.map { Double($0) })
        return size > 0
            ? Measurement(error: difference / size, bound: gradientBound, place: what)
            : Measurement(error: difference, bound: absentGradientBound, place: what)
    }

    private static let gradientBound = 1e-4
    private static let absentGradientBound = 1e-7
}

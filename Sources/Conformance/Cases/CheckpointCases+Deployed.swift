import SparseAttention
import SparseInference

/// The numerics of FP8 checkpoints as deployed, in both revisions of the official demo.
extension CheckpointCases {
    /// One of the golden numerics.
    struct Mode {
        let name: String
        let precision: LanguageModel.Precision
        /// What the prompt's name has between its number and `.input_ids`.
        let input: String
        /// Greedy tokens are exact up to the first whose margin is smaller; 0 for all of them.
        let smallestMargin: Float

        static let all = [
            Mode(
                name: "emulated_f32",
                precision: .legacy(activations: .float32),
                input: "",
                smallestMargin: 0
            ),
            Mode(
                name: "emulated_bf16",
                precision: .legacy(activations: .bfloat16),
                input: "",
                smallestMargin: 0.05
            ),
            Mode(
                name: "deployed_f32",
                precision: .deployed(activations: .float32),
                input: ".deployed",
                smallestMargin: 0
            ),
            Mode(
                name: "deployed_bf16",
                precision: .deployed(activations: .bfloat16),
                input: ".deployed",
                smallestMargin: 0.05
            ),
        ]
    }

    /// A row of logits agrees when its cosine with the golden row is larger.
    private static let smallestCosine = 0.999
    /// The share of rows, and of selected tokens, that may disagree: an FP8 or bfloat16 rounding can flip under
    /// another order of summation.
    private static let disagreeingShare = 0.02

    /// Every mode of every prompt, prefilled whole and in chunks.
    func deployedCases(_ golden: GoldenFile, prompts: [String]) -> [ConformanceCase] {
        prompts.flatMap { prompt in
            Mode.all.filter { golden.contains("\(prompt).\($0.name).logits") }.flatMap { mode in
                [("whole", 1 << 20), ("chunks-of-7", 7)].map { run, chunk in
                    ConformanceCase("\(name)/\(prompt)/\(mode.name)/\(run)") {
                        try compare(prompt, mode: mode, chunk: chunk, golden: golden)
                    }
                }
            }
        }
    }

    private func compare(_ prompt: String, mode: Mode, chunk: Int, golden: GoldenFile) throws -> Outcome {
        let model = try LanguageModel(contentsOf: folder, precision: mode.precision, mistake: mistake)
        let ids = try golden.ints("\(prompt)\(mode.input).input_ids")
        let prefix = "\(prompt).\(mode.name)"
        let greedy = try golden.ints(prefix + ".greedy_ids")
        let session = try Session(model, capacity: ids.count + greedy.count)
        let recorder = StageRecorder()
        // A chunk of one token would be run in the absorbed form, which is another function here.
        let usable = ids.count % chunk == 1 ? chunk + 1 : chunk
        let logits = try session.extendWithAllLogits(
            by: ids,
            options: ForwardOptions(probe: recorder.probe),
            chunk: usable
        )
        let continued = try continueGreedily(session, from: logits, count: greedy.count, form: nil)
        let margins = try golden.floats(prefix + ".greedy_margin")
        let sure = margins.firstIndex { $0 < mode.smallestMargin } ?? margins.count
        return .worst(
            try lostSelections(recorder, prefix: prefix, golden: golden) + [
                disagreeingRows(logits, try golden.tensor(prefix + ".logits")),
                Comparison.equal(
                    Array(continued.prefix(sure)),
                    Array(greedy.prefix(sure)),
                    as: "greedy_ids"
                ),
            ]
        )
    }

    /// The share of rows whose cosine is too small, beside the first of them.
    private func disagreeingRows(_ found: Tensor, _ expected: Tensor) -> Measurement {
        let cosines = (0..<expected.shape[0]).map { row in
            Comparison.cosine(found.row(row), expected.row(row))
        }
        let low = cosines.indices.filter { !(cosines[$0] > Self.smallestCosine) }
        return Measurement(
            error: Double(low.count) / Double(cosines.count),
            bound: Self.disagreeingShare,
            place: low.first.map { "logits of row \($0): cosine \(cosines[$0])" } ?? "logits"
        )
    }

    /// The share of golden selections that are missing, layer by layer.
    private func lostSelections(
        _ recorder: StageRecorder,
        prefix: String,
        golden: GoldenFile
    ) throws -> [Measurement] {
        try recorder.order.compactMap { stage in
            let label = "\(prefix).\(stage.goldenName)"
            guard golden.contains(label), case .sets(let found) = recorder.values[stage] else { return nil }
            let expected = try golden.selection(label).sets
            let kept = zip(found, expected).map { Set($0).intersection($1).count }.reduce(0, +)
            let total = expected.map(\.count).reduce(0, +)
            return Measurement(
                error: 1 - Double(kept) / Double(max(total, 1)),
                bound: Self.disagreeingShare,
                place: stage.goldenName
            )
        }
    }
}

extension Tensor {
    /// One row of a matrix.
    fileprivate func row(_ index: Int) -> [Float] {
        let columns = shape.columns
        return withElements { elements in
            (index * columns..<(index + 1) * columns).map { elements[$0] }
        }
    }
}

extension Comparison {
    /// The cosine of two vectors; NaN when either holds one.
    static func cosine(_ a: [Float], _ b: [Float]) -> Double {
        func dot(_ x: [Float], _ y: [Float]) -> Double {
            zip(x, y).reduce(0) { $0 + Double($1.0) * Double($1.1) }
        }
        return dot(a, b) / (dot(a, a) * dot(b, b)).squareRoot()
    }
}

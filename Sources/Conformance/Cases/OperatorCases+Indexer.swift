import SparseAttention

extension OperatorCases {
    var indexer: [ConformanceCase] {
        let plain = golden.groups("indexer.", endingBefore: ".k").map { group in
            item(group) { [golden] in
                let (indexer, operands) = try operands(group, precision: .float32)
                let scores = try indexer.scores(
                    queries: operands.queries,
                    weights: operands.weights,
                    keys: operands.keys,
                    from: 0
                )
                let selection = try indexer.select(
                    queries: operands.queries,
                    weights: operands.weights,
                    keys: operands.keys,
                    from: 0
                )
                return [
                    Comparison.close(
                        scores.visibleOnly,
                        try golden.floats(group + ".scores"),
                        bound: Self.bound,
                        as: "scores"
                    ),
                    Comparison.equal(selection.sets, try golden.selection(group + ".topk").sets, as: "topk"),
                ]
            }
        }
        let coded = golden.groups("indexer.", endingBefore: ".q_codes").map { group in
            item(group) {
                try codedMeasurements(group)
            }
        }
        return plain + coded
    }

    /// The stages of the FP8 scores one by one: rotation, codes and scales, scores, selection.
    private func codedMeasurements(_ group: String) throws -> [Measurement] {
        let parent = group.split(separator: ".").dropLast().joined(separator: ".")
        let format: ScaleFormat = group.hasSuffix("ue8m0") ? .powerOfTwo : .float32
        let (indexer, operands) = try operands(parent, precision: .float8(format))
        let shape = operands.queries.shape
        func coded(_ name: String, rows: Int) throws -> QuantizedRows {
            try QuantizedRows(
                rows: rows,
                columns: shape[2],
                codes: golden.codes("\(group).\(name)_codes"),
                scales: golden.floats("\(group).\(name)_scale")
            )
        }
        let queryCodes = try coded("q", rows: shape[0] * shape[1])
        let keyCodes = try coded("k", rows: operands.keys.shape[0])
        var measurements: [Measurement] = []
        for (name, codes) in [("q", queryCodes), ("k", keyCodes)] {
            let rotated = try golden.tensor("\(parent).\(name)_rotated")
            let quantized = try QuantizedRows(quantizing: rotated, format: format)
            measurements += [
                Comparison.equal(quantized.codes, codes.codes, as: name + "_codes"),
                Comparison.bitwise(quantized.scales, codes.scales, as: name + "_scale"),
            ]
        }
        let scores = try indexer.scores(
            queryCodes: queryCodes,
            weights: operands.weights,
            keyCodes: keyCodes,
            from: 0
        )
        let selection = try indexer.select(
            queryCodes: queryCodes,
            weights: operands.weights,
            keyCodes: keyCodes,
            from: 0
        )
        // From queries and keys before the rotation: an entry may round differently, a set may not.
        let whole = try indexer.select(
            queries: operands.queries,
            weights: operands.weights,
            keys: operands.keys,
            from: 0
        )
        let expected = try golden.selection(group + ".topk").sets
        let kept = zip(whole.sets, expected).map { Set($0).intersection($1).count }.reduce(0, +)
        let lost = 1 - Float(kept) / Float(max(expected.map(\.count).reduce(0, +), 1))
        return measurements + [
            Comparison.close(
                scores.visibleOnly,
                try golden.floats(group + ".scores"),
                bound: Self.bound,
                as: "scores"
            ),
            Comparison.equal(selection.sets, expected, as: "topk"),
            Comparison.absolute([lost], [0], bound: 0.02, as: "share of topk lost from unrotated input"),
        ]
    }

    private func operands(
        _ group: String,
        precision: LightningIndexer.Precision
    ) throws -> (LightningIndexer, (queries: Tensor, weights: Tensor, keys: Tensor)) {
        let settings = try parameters.at("indexer", String(group.dropFirst("indexer.".count)))
        let indexer = try LightningIndexer(
            heads: settings.integer("heads"),
            headDim: settings.integer("dim"),
            topK: settings.integer("topk"),
            precision: precision
        )
        let operands = try (
            golden.tensor(group + ".q", rank: 3), golden.tensor(group + ".weights", rank: 2),
            golden.tensor(group + ".k", rank: 2)
        )
        return (indexer, operands)
    }

    var divergence: [ConformanceCase] {
        golden.groups("indexer_loss.", endingBefore: ".main_logits").flatMap { group in
            ["dense", "sparse", "sparse_renormalized"].map { kind in
                item("\(group).\(kind)") { [golden, parameters] in
                    let settings = try parameters.at(
                        "indexer_loss",
                        String(group.dropFirst("indexer_loss.".count))
                    )
                    let selection = try golden.selection(group + ".topk")
                    let domain: IndexerDivergence.Domain =
                        switch kind {
                        case "dense": .visible
                        case "sparse": .selected(selection)
                        default: .renormalized(selection)
                        }
                    // From the operands, not the stored scores: `score_scale` is heads^-½ · dim^-½.
                    let indexer = try LightningIndexer(
                        heads: settings.integer("index_heads"),
                        headDim: settings.integer("index_dim"),
                        topK: settings.integer("topk")
                    )
                    let scores = try indexer.scores(
                        queries: golden.tensor(group + ".q"),
                        weights: golden.tensor(group + ".weights"),
                        keys: golden.tensor(group + ".k"),
                        from: 0
                    )
                    let found = try IndexerDivergence(
                        of: scores,
                        from: golden.tensor(group + ".main_logits"),
                        over: domain
                    )
                    let prefix = "\(group).\(kind)"
                    return try [
                        Comparison.close(
                            found.target.elements,
                            golden.floats(prefix + ".target"),
                            bound: 1e-5,
                            as: "target"
                        ),
                        Comparison.close(
                            found.perQuery.elements,
                            golden.floats(prefix + ".loss_per_query"),
                            bound: 1e-5,
                            as: "loss_per_query"
                        ),
                        Comparison.close(
                            [found.sum],
                            golden.floats(prefix + ".loss"),
                            bound: 1e-5,
                            as: "loss"
                        ),
                    ]
                }
            }
        }
    }
}

extension Tensor {
    /// The elements with 0 in the place of −infinity, as golden scores store what is not visible.
    fileprivate var visibleOnly: [Float] {
        elements.map { $0 == -.infinity ? 0 : $0 }
    }
}

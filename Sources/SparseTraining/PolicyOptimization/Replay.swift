package import SparseAttention
import SparseInference

/// What a model decided while it wrote an answer, to be decided the same way when it is trained on it.
///
/// A token that is routed to another expert, or attends to other tokens, has another probability; between the numbers of two
/// engines a near tie is enough. Training then follows a policy that never wrote the answer.
///
/// Source: V3.2 report, "Keep Routing"; the selection is replayed for the same reason.
package struct Replay: Equatable, Sendable {
    /// The tokens each token attended to, of each layer; nil where that was all of them.
    package var selections: [TokenSelection?]
    /// The experts of each token, ascending, of each layer; nil for a dense one.
    package var experts: [[[Int]]?]

    /// What was decided, layer by layer.
    package init(selections: [TokenSelection?], experts: [[[Int]]?]) {
        self.selections = selections
        self.experts = experts
    }

    /// What was decided in some sequences, for all of them as one; nil where nothing was.
    ///
    /// - Throws: `SparseAttentionError.dimensionMismatch` or `invalidSetting` for decisions of other tokens or another
    ///   model, or where not all sequences have theirs.
    init?(joining replays: [Replay?], _ pack: SequencePack, _ configuration: ModelConfiguration)
        throws(SparseAttentionError)
    {
        let decided = replays.compactMap { $0 }
        if decided.isEmpty { return nil }
        guard decided.count == pack.rows.count else {
            throw .invalidSetting(
                name: "replayed sequences",
                found: "\(decided.count)",
                expected: "\(pack.rows.count)"
            )
        }
        for (rows, replay) in zip(pack.rows, decided) {
            try replay.validate(tokens: rows.count, configuration)
        }
        selections = []
        experts = []
        for layer in 0..<configuration.layers {
            selections.append(try pack.joined(decided.map { $0.selections[layer] }))
            let chosen = decided.compactMap { $0.experts[layer] }
            experts.append(chosen.count == decided.count ? Array(chosen.joined()) : nil)
        }
    }

    /// - Throws: `SparseAttentionError.dimensionMismatch` or `invalidSetting` for decisions of other tokens or another model.
    private func validate(tokens: Int, _ configuration: ModelConfiguration) throws(SparseAttentionError) {
        func require(_ found: Int, _ expected: Int, _ name: String) throws(SparseAttentionError) {
            guard found == expected else {
                throw .invalidSetting(name: "replayed \(name)", found: "\(found)", expected: "\(expected)")
            }
        }
        try require(selections.count, configuration.layers, "layers")
        try require(experts.count, configuration.layers, "layers")
        for selection in selections.compactMap({ $0 }) {
            try require(selection.queryTokens, tokens, "tokens")
        }
        for layer in experts.compactMap({ $0 }) {
            try require(layer.count, tokens, "tokens")
            for chosen in layer {
                try require(chosen.count, configuration.expertsPerToken, "experts")
                guard chosen.allSatisfy((0..<configuration.routedExperts).contains) else {
                    throw .invalidSetting(
                        name: "replayed experts",
                        found: "\(chosen)",
                        expected: "each below \(configuration.routedExperts)"
                    )
                }
            }
        }
    }
}

// MARK: - Recording

/// Collects the decisions of a session whose tokens are run chunk by chunk.
final class ReplayRecorder {
    private let layers: Int
    private var rows: [[[Int32]]]  // of each layer and token, the positions attended to
    private var experts: [[[Int]]]
    private var isChoosing: [Bool]

    init(layers: Int) {
        self.layers = layers
        rows = Array(repeating: [], count: layers)
        experts = Array(repeating: [], count: layers)
        isChoosing = Array(repeating: false, count: layers)
    }

    /// What to pass along.
    var probe: StageProbe {
        StageProbe { [self] stage, layer, value in
            guard let layer else { return }
            switch (stage, value) {
            case (.selection, .selection(let selection)): add(selection, layer)
            case (.experts, .choices(let choices)): experts[layer] += choices
            default: break
            }
        }
    }

    private func add(_ selection: TokenSelection, _ layer: Int) {
        let sets = selection.sets
        for set in sets {
            rows[layer].append(set)
            // A token that sees more than it attends to has chosen.
            if set.count < rows[layer].count { isChoosing[layer] = true }
        }
    }

    /// The decisions so far.
    var replay: Replay {
        get throws {
            Replay(
                selections: try (0..<layers).map { isChoosing[$0] ? try selection(rows[$0]) : nil },
                experts: experts.map { $0.isEmpty ? nil : $0 }
            )
        }
    }

    private func selection(_ sets: [[Int32]]) throws -> TokenSelection {
        let slots = sets.map(\.count).max() ?? 0
        let positions = sets.flatMap {
            $0 + [Int32](repeating: TokenSelection.unused, count: slots - $0.count)
        }
        return try TokenSelection(positions: positions, queryTokens: sets.count, slots: slots)
    }
}

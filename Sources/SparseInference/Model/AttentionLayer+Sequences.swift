import SparseAttention

/// The rows of a batch that are the new tokens of one sequence, and what a layer remembers of it.
package struct SequenceRows: @unchecked Sendable {
    // Sendable: the rows of a sequence are computed by one thread at a time.

    let rows: Range<Int>
    let cache: LayerCache

    /// Rows of a batch.
    package init(_ rows: Range<Int>, cache: LayerCache) {
        self.rows = rows
        self.cache = cache
    }
}

// MARK: - Attending

extension AttentionLayer {
    /// What new tokens are scored with; nil where no token has anything to choose, and nobody wants to see.
    func indexOperands(
        _ hidden: Tensor,
        _ queryLatent: Tensor?,
        of sequences: [SequenceRows],
        rotation: RotaryEmbedding.Rotation,
        _ options: ForwardOptions,
        isProbed: Bool
    ) throws -> IndexerLayer.Operands? {
        guard let indexer, let queryLatent, options.attention == .sparse else { return nil }
        guard isProbed || sequences.contains(where: chooses) else { return nil }
        return try indexer.operands(hidden, queryLatent: queryLatent, rotation: rotation)
    }

    /// Whether the last token of a sequence has to choose.
    private func chooses(_ sequence: SequenceRows) -> Bool {
        guard let indexer else { return false }
        return indexer.chooses(among: sequence.cache.latents.count) && arithmetic.mistake != .denseAboveTopK
    }

    /// Selects and attends, the tokens of each sequence by themselves.
    ///
    /// With at least as many sequences as threads each sequence is one thread's work; with fewer all threads work on one
    /// after the other. The projections are moved into the queries, and behind the sums, for all sequences together.
    func attend(
        _ queries: Tensor,
        _ operands: IndexerLayer.Operands?,
        _ sequences: [SequenceRows],
        _ options: ForwardOptions,
        _ selections: inout [TokenSelection?],
        _ probe: LayerProbe?
    ) throws -> AttentionResult {
        guard sequences.count > 1 else {
            let sequence = sequences[0]
            selections[0] = try select(
                operands,
                of: sequence,
                options.attention,
                previous: selections[0],
                probe
            )
            if let observer = options.observer {
                try show(queries, selections[0], sequence.cache, to: observer)
            }
            return try attention.attend(
                queries,
                to: sequence.cache.latents,
                through: keyValueProjection,
                at: selections[0],
                form: options.form ?? arithmetic.form(tokens: queries.shape[0])
            )
        }
        let forms = sequences.map { form(of: $0, options) }
        let isAbsorbed = forms.allSatisfy { $0 == .absorbed }
        let moved = isAbsorbed ? attention.absorb(queries, through: keyValueProjection) : queries
        let (mode, previous) = (options.attention, selections)
        let workers = sequences.count >= attention.workers.count ? attention.workers : .one
        let parts = try workers.map(count: sequences.count) { index in
            let sequence = sequences[index]
            let selection = try select(
                operands?.slice(sequence.rows),
                of: sequence,
                mode,
                previous: previous[index],
                nil
            )
            let (own, latents) = (try moved.slice(sequence.rows), sequence.cache)
            let result =
                isAbsorbed
                ? try attention.attend(absorbed: own, to: latents.latents, at: selection)
                : try attention.attend(
                    own,
                    to: latents.latents,
                    through: keyValueProjection,
                    at: selection,
                    form: forms[index]
                )
            return (selection: selection, result: result)
        }
        selections = parts.map(\.selection)
        var result = AttentionResult(joining: parts.map(\.result))
        if isAbsorbed {
            result.output = attention.expandValues(result.output, through: keyValueProjection)
        }
        return result
    }

    /// The form in which a sequence is attended to when it is alone.
    private func form(of sequence: SequenceRows, _ options: ForwardOptions) -> LatentAttention.Form {
        let (tokens, keys) = (sequence.rows.count, sequence.cache.latents.count)
        let topK = options.attention == .sparse ? indexer?.indexer.topK.count : nil
        return options.form ?? arithmetic.form(tokens: tokens)
            ?? attention.cheapestForm(queryTokens: tokens, keyTokens: keys, slots: topK.map { min($0, keys) })
    }

    /// The tokens each new token of a sequence may use; nil when that is every visible one.
    private func select(
        _ operands: IndexerLayer.Operands?,
        of sequence: SequenceRows,
        _ mode: AttentionMode,
        previous: TokenSelection?,
        _ probe: LayerProbe?
    ) throws -> TokenSelection? {
        guard let indexer else {
            return sharesSelection && mode == .sparse ? previous : nil
        }
        guard let operands else { return nil }
        try indexer.record(operands, keys: sequence.cache.indexKeys, to: probe)
        guard chooses(sequence) else {
            // Nothing is left to choose, but who watches wants to see it.
            let position = sequence.cache.latents.count - operands.tokens
            probe?.record(
                .selection,
                .selection(.everything(queryTokens: operands.tokens, position: position))
            )
            return nil
        }
        let selection = try indexer.select(operands, keys: sequence.cache.indexKeys)
        probe?.record(.selection, .selection(selection))
        return selection
    }
}

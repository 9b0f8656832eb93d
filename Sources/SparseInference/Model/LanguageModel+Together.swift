import SparseAttention

/// New tokens of a sequence.
struct NewTokens: @unchecked Sendable {
    // Sendable: the caches of a sequence are used by one thread at a time.

    /// At least one, each in the vocabulary.
    let tokens: ArraySlice<Int>
    /// The position of the first.
    let position: Int
    /// What the layers remember of the sequence, one a layer.
    let caches: [LayerCache]

    var positions: Range<Int> { position..<position + tokens.count }
}

// MARK: - Several sequences

extension LanguageModel {
    /// Weights up to which several threads may go over them, each with sequences of its own: they come from cache.
    private static let cachedWeightBytes = 16 << 20

    /// Runs new tokens of sequences, each with the numbers it gets alone.
    ///
    /// Sequences share a pass over the weights. Where those are so small that they stay in cache there is nothing to
    /// share, and each thread runs some of the sequences by itself.
    ///
    /// - Parameters:
    ///   - sequences: at least one.
    ///   - attention: which tokens the attention sees.
    /// - Returns: for each sequence what its tokens gave.
    /// - Throws: `SparseAttentionError`, such as `cacheFull`.
    func run(_ sequences: [NewTokens], attention: AttentionMode) throws -> [Session.Step] {
        let isSpread = weightBytes <= Self.cachedWeightBytes
        let passes = passes(sequences.map(\.tokens.count), atLeast: isSpread ? workers.count : 1)
        return try (isSpread ? workers : .one).map(count: passes.count) { pass in
            let part = Array(sequences[passes[pass]])
            let hidden = try forward(part, options: ForwardOptions(attention: attention))
            let logits = logits(hidden)
            var row = 0
            return try part.map { sequence in
                let rows = row..<row + sequence.tokens.count
                row = rows.upperBound
                return Session.Step(hidden: try hidden.slice(rows), logits: try logits.slice(rows))
            }
        }.flatMap { $0 }
    }

    /// Neighbours of about equal number that together have few enough tokens to be independent of one another, or one that
    /// alone has more.
    private func passes(_ tokens: [Int], atLeast count: Int) -> [Range<Int>] {
        let most = tileCount(tokens.reduce(0, +), max(count, 1))
        var (passes, sum) = ([Range<Int>](), 0)
        for (index, tokens) in tokens.enumerated() {
            if let last = passes.last, sum + tokens <= min(most, WeightMatrix.fewInputs) {
                passes[passes.count - 1] = last.lowerBound..<index + 1
                sum += tokens
            } else {
                passes.append(index..<index + 1)
                sum = tokens
            }
        }
        return passes
    }
}

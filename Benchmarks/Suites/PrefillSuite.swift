import SparseAttention

/// A chunk of tokens that ends at a position: dense against sparse, in time per token.
///
/// Both start from queries `[tokens, heads, nopeDim + ropeDim]` and end with values of every head: the
/// projections of keys and values are timed. Each side runs in the form with fewer operations, as the model
/// would: expanded for dense, absorbed for sparse once the sequence is long.
///
/// A whole chunk takes minutes at 128 K, so a part runs whose work is exactly proportional, and its time is
/// scaled: in expanded form some of the heads, each of which goes through all tokens of the chunk on one thread
/// with keys and values of its own; for index scores and the absorbed sparse core the middle tokens of the chunk,
/// which see as many tokens as those of the chunk do on average.
struct PrefillSuite {
    /// The sequence.
    let data: LayerData
    /// The threads to use.
    let workers: Workers
    /// Query tokens in a chunk.
    let chunk: Int

    /// Query tokens that stand for a chunk, for each thread; no fewer than `leastTokens` in all.
    private static let (tokensPerThread, leastTokens) = (8, 32)
    /// Operations of expanded attention to run for each thread, about half a second.
    private static let operationsPerThread = 5e10

    /// Dense and sparse attention of the chunk that ends at a position.
    func cases(at position: Int) throws -> [BenchmarkCase] {
        try data.grow(to: position)
        return [try dense(at: position), try sparse(at: position)]
    }

    private func dense(at position: Int) throws -> BenchmarkCase {
        let (data, sizes) = (data, data.shape.attention)
        let tokens = min(chunk, position)
        let whole = try attention(heads: sizes.heads)
        let form = whole.cheapestForm(queryTokens: tokens, keyTokens: position, slots: nil)
        let operations = sizes.operations(form, queryTokens: tokens, keyTokens: position, slots: nil)
        let part = try headSample(operations: operations)
        let queries = data.queries(tokens: tokens, heads: part.heads)
        let factor = Double(sizes.heads) / Double(part.heads) / Double(tokens)
        try data.truncate(to: position)
        return BenchmarkCase(
            name: "dense-prefill",
            position: position,
            operations: operations / Double(tokens),
            bytes: data.shape.latentBytes(tokens: Double(position)) / Double(tokens),
            sampled: part.heads < sizes.heads ? "\(part.heads) of \(sizes.heads) heads" : nil
        ) { laps in
            _ = try laps.time("dense attention, \(form.rawValue)", scaledBy: factor) {
                try part.attention.attend(queries, to: data.latents, through: part.projection, form: form)
            }
        }
    }
}

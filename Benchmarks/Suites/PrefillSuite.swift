import SparseAttention

/// A chunk of tokens that ends at a position: dense against sparse, in time per token.
///
/// Both start from queries `[tokens, heads, nopeDim + ropeDim]` and end with values of every head: the
/// projections of keys and values are timed. Each side runs in the form with fewer operations, as the model
/// would: expanded for dense, absorbed for sparse once the sequence is long. Up to top-k, where there is nothing to
/// choose, the sparse side attends to all tokens and scores none.
///
/// A whole chunk takes minutes at 128 K, so a part runs whose work is exactly proportional, and its time is
/// scaled: in expanded form some of the heads, each of which goes through all tokens of the chunk on one
/// thread with keys and values of its own; for index scores and the absorbed sparse core the middle tokens of
/// the chunk, which see as many tokens as those of the chunk do on average.
struct PrefillSuite {
    /// The sequence, and the operators.
    let layer: LayerPair
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
        try layer.grow(to: position)
        return [try dense(at: position), try sparse(at: position)]
    }

    private func dense(at position: Int) throws -> BenchmarkCase {
        try all(of: layer.dense, at: position, name: "dense-prefill")
    }

    /// Attention to all visible tokens.
    private func all(of data: LayerData, at position: Int, name: String) throws -> BenchmarkCase {
        let sizes = layer.shape.attention
        let tokens = min(chunk, position)
        let form = try attention(heads: sizes.heads)
            .cheapestForm(queryTokens: tokens, keyTokens: position, slots: nil)
        let operations = sizes.operations(form, queryTokens: tokens, keyTokens: position, slots: nil)
        let sample = try HeadSample(count: sampledHeads(operations: operations), of: self)
        let queries = data.queries(tokens: tokens, heads: sample.heads)
        return BenchmarkCase(
            name: name,
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: operations / Double(tokens),
            bytes: data.latentBytes(tokens: Double(position)) / Double(tokens),
            sampled: sample.description
        ) { laps in
            _ = try laps.time("dense attention, \(form.rawValue)", scaledBy: sample.factor / Double(tokens)) {
                try sample.attention.attend(queries, to: data.latents, through: sample.projection, form: form)
            }
        }
    }

    private func sparse(at position: Int) throws -> BenchmarkCase {
        guard try layer.indexer(workers: workers).chooses(among: position) else {
            return try all(of: layer.sparse, at: position, name: "sparse-prefill")
        }
        let (data, shape, sizes) = (layer.sparse, layer.shape, layer.shape.attention)
        let tokens = min(chunk, position)
        let slots = min(shape.topK, position)
        let form = try attention(heads: sizes.heads)
            .cheapestForm(queryTokens: tokens, keyTokens: position, slots: slots)
        let core = sizes.operations(form, queryTokens: tokens, keyTokens: position, slots: slots)
        let scores = shape.indexScores(tokens: Double(position) - Double(tokens - 1) / 2) * Double(tokens)
        let middle = min(tokens, max(Self.leastTokens, Self.tokensPerThread * workers.count))
        let start = position - tokens + (tokens - middle) / 2
        let select = try selection(tokens: middle, from: start)
        let attend =
            switch form {
            case .absorbed: try absorbedCore(tokens: middle)
            case .expanded: try expandedCore(tokens: tokens, at: position, operations: core)
            }
        let keyBytes = data.indexKeyBytes(tokens: Double(position))
        return BenchmarkCase(
            name: "sparse-prefill",
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: (scores + core) / Double(tokens),
            bytes: (keyBytes + data.latentBytes(tokens: Double(position))) / Double(tokens),
            sampled: "\(middle) of \(tokens) tokens" + (attend.sampled.map { "; core: \($0)" } ?? "")
        ) { laps in
            try attend.body(try select(&laps), &laps)
        }
    }
}

// MARK: - Parts of the sparse side

extension PrefillSuite {
    /// A sparse core, and what part of it runs.
    private struct Core {
        let sampled: String?
        let body: (TokenSelection, inout Laps) throws -> Void
    }

    /// Scores every visible token for some query tokens and selects the best.
    private func selection(tokens: Int, from start: Int) throws -> (inout Laps) throws -> TokenSelection {
        let data = layer.sparse
        let indexer = try layer.indexer(workers: workers)
        let (queries, weights) = (data.indexQueries(tokens: tokens), data.headWeights(tokens: tokens))
        return { laps in
            try laps.time("index scores and top-k", scaledBy: 1 / Double(tokens)) {
                try indexer.select(queries: queries, weights: weights, keys: data.indexKeys, from: start)
            }
        }
    }

    /// Absorbed attention of the tokens just selected for, over all heads.
    private func absorbedCore(tokens: Int) throws -> Core {
        let data = layer.sparse
        let attention = try attention(heads: layer.shape.attention.heads)
        let projection = LatentAttention.KeyValueProjection(data.projection)
        let queries = data.queries(tokens: tokens, heads: layer.shape.attention.heads)
        return Core(sampled: nil) { selection, laps in
            _ = try laps.time("sparse core, absorbed", scaledBy: 1 / Double(tokens)) {
                try attention.attend(
                    queries,
                    to: data.latents,
                    through: projection,
                    at: selection,
                    form: .absorbed
                )
            }
        }
    }

    /// Expanded attention of the whole chunk, over some heads, with a selection made beforehand.
    private func expandedCore(tokens: Int, at position: Int, operations: Double) throws -> Core {
        let data = layer.sparse
        let sample = try HeadSample(count: sampledHeads(operations: operations), of: self)
        let queries = data.queries(tokens: tokens, heads: sample.heads)
        var untimed = Laps()
        let chosen = try selection(tokens: tokens, from: position - tokens)(&untimed)
        return Core(sampled: sample.description) { _, laps in
            _ = try laps.time("sparse core, expanded", scaledBy: sample.factor / Double(tokens)) {
                try sample.attention.attend(
                    queries,
                    to: data.latents,
                    through: sample.projection,
                    at: chosen,
                    form: .expanded
                )
            }
        }
    }
}

// MARK: - Heads

extension PrefillSuite {
    /// Attention over the first heads of the layer.
    private struct HeadSample {
        let heads: Int
        let allHeads: Int
        let attention: LatentAttention
        let projection: LatentAttention.KeyValueProjection

        init(count: Int, of suite: PrefillSuite) throws {
            let (data, sizes) = (suite.layer.dense, suite.layer.shape.attention)
            heads = count
            allHeads = sizes.heads
            attention = try suite.attention(heads: count)
            projection = .init(data.projection.rows(0..<count * sizes.projectionRows))
        }

        /// What turns the time of the sample into that of all heads.
        var factor: Double { Double(allHeads) / Double(heads) }
        /// The sample in words; nil when it is everything.
        var description: String? { heads < allHeads ? "\(heads) of \(allHeads) heads" : nil }
    }

    /// The layer's attention with fewer heads.
    private func attention(heads: Int) throws -> LatentAttention {
        let sizes = layer.shape.attention
        return try LatentAttention(
            dimensions: .init(
                heads: heads,
                latentDim: sizes.latentDim,
                ropeDim: sizes.ropeDim,
                nopeDim: sizes.nopeDim,
                valueDim: sizes.valueDim
            ),
            scale: layer.shape.scale,
            products: layer.products,
            workers: workers
        )
    }

    /// As many heads as the operations allowed pay for: a multiple of the threads, so that none is idle.
    private func sampledHeads(operations: Double) -> Int {
        let heads = layer.shape.attention.heads
        let affordable = Int(Self.operationsPerThread * Double(heads) / operations)
        return min(heads, workers.count * max(affordable, 1))
    }
}

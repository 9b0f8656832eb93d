import SparseAttention

/// Every operator of one DeepSeek-V3.2 layer by itself, in the formats it is deployed with and in float32.
struct KernelSuite {
    /// The same sequence for both precisions.
    let layers: [LayerPair]
    /// Weights of one linear layer, in every format.
    let linear: LinearData
    /// The threads to use.
    let workers: Workers

    /// Query tokens of a prefill chunk.
    static let chunk = 256
    /// Tokens that stand for a chunk where the whole takes too long.
    private static let sampledTokens = 32
    /// Heads that stand for all in expanded form.
    private static let sampledHeads = 4

    /// The cases at a position.
    func cases(at position: Int) throws -> [BenchmarkCase] {
        try layers.flatMap { layer in
            try layer.grow(to: position)
            return try [
                scores(layer, tokens: 1, at: position),
                scores(layer, tokens: Self.sampledTokens, at: position),
                core(layer, tokens: 1, at: position), core(layer, tokens: Self.chunk, at: position),
                absorbed(layer, at: position), expanded(layer, at: position),
            ]
        } + [topK(rows: 1, at: position), topK(rows: Self.chunk, at: position)]
    }

    /// The cases that have no position.
    func linearCases() -> [BenchmarkCase] {
        linear.cases(tokens: 1, workers: workers) + linear.cases(tokens: Self.chunk, workers: workers)
    }

    private func phase(_ tokens: Int) -> String { tokens == 1 ? "decode" : "prefill" }

    private func scores(_ layer: LayerPair, tokens: Int, at position: Int) throws -> BenchmarkCase {
        let indexer = try layer.indexer(workers: workers)
        let data = layer.sparse
        let (queries, weights) = (data.indexQueries(tokens: tokens), data.headWeights(tokens: tokens))
        return BenchmarkCase(
            name: "index-scores-\(phase(tokens))",
            precision: layer.products == .float32 ? "float32" : "float8",
            ceiling: layer.ceiling,
            position: position,
            operations: layer.shape.indexScores(tokens: Double(position)),
            bytes: data.indexKeyBytes(tokens: Double(position)) / Double(tokens),
            sampled: tokens == 1 ? nil : "\(tokens) tokens"
        ) { laps in
            _ = try laps.time("scores", scaledBy: 1 / Double(tokens)) {
                try indexer.scores(
                    queries: queries,
                    weights: weights,
                    keys: data.indexKeys,
                    from: position - tokens
                )
            }
        }
    }

    private func topK(rows: Int, at position: Int) throws -> BenchmarkCase {
        let topK = try TopK(layers[0].shape.topK)
        let scores = layers[0].sparse.noise.stream(20).tensor([min(rows, 16), position])
        let workers = workers
        return BenchmarkCase(
            name: "top-k-\(phase(rows))",
            precision: "float32",
            ceiling: .none,
            position: position,
            operations: Double(position),
            bytes: Double(4 * position),
            sampled: rows == 1 ? nil : "\(rows) rows"
        ) { laps in
            laps.time("top-k", scaledBy: 1 / Double(rows)) {
                scores.withMatrix { scores in
                    workers.run(tiles: rows) { row in
                        topK.select(scores, row: row % scores.rows)
                    }
                }
            }
        }
    }

    private func core(_ layer: LayerPair, tokens: Int, at position: Int) throws -> BenchmarkCase {
        let (data, shape) = (layer.sparse, layer.shape)
        let sampled = tokens == 1 ? 1 : Self.sampledTokens
        let attention = layer.sparseCore(workers: workers)
        let queries = data.absorbedQueries(tokens: sampled)
        let selection = try layer.indexer(workers: workers).select(
            queries: data.indexQueries(tokens: sampled),
            weights: data.headWeights(tokens: sampled),
            keys: data.indexKeys,
            from: position - sampled
        )
        return BenchmarkCase(
            name: "sparse-core-\(phase(tokens))",
            precision: layer.products == .float32 ? "float32" : "bfloat16/float8",
            ceiling: layer.ceiling,
            position: position,
            operations: shape.sparseCore(tokens: Double(position)),
            bytes: data.latentBytes(tokens: min(Double(shape.topK), Double(position))),
            sampled: tokens == 1 ? nil : "\(sampled) tokens"
        ) { laps in
            _ = try laps.time("sparse core", scaledBy: 1 / Double(sampled)) {
                try attention.attend(queries, to: data.latents, at: selection, scale: shape.scale)
            }
        }
    }

    private func absorbed(_ layer: LayerPair, at position: Int) throws -> BenchmarkCase {
        let (data, shape) = (layer.dense, layer.shape)
        let attention = layer.denseCore(workers: workers)
        let queries = data.absorbedQueries(tokens: 1)
        return BenchmarkCase(
            name: "dense-absorbed-decode",
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: shape.denseCore(tokens: Double(position)),
            bytes: data.latentBytes(tokens: Double(position))
        ) { laps in
            laps.time("dense core") {
                data.latents.withRows { rows in
                    _ = attention.attend(
                        queries,
                        to: rows,
                        valueDim: shape.attention.latentDim,
                        position: position - 1,
                        scale: shape.scale
                    )
                }
            }
        }
    }

    private func expanded(_ layer: LayerPair, at position: Int) throws -> BenchmarkCase {
        let (data, sizes) = (layer.dense, layer.shape.attention)
        let tokens = min(Self.chunk, position)
        let heads = Self.sampledHeads
        let few = try LatentAttention.Dimensions(
            heads: heads,
            latentDim: sizes.latentDim,
            ropeDim: sizes.ropeDim,
            nopeDim: sizes.nopeDim,
            valueDim: sizes.valueDim
        )
        let attention = try LatentAttention(
            dimensions: few,
            scale: layer.shape.scale,
            products: layer.products,
            workers: workers
        )
        let projection = LatentAttention.KeyValueProjection(
            data.projection.rows(0..<heads * sizes.projectionRows)
        )
        let queries = data.queries(tokens: tokens, heads: heads)
        return BenchmarkCase(
            name: "dense-expanded-prefill",
            precision: layer.products.rawValue,
            ceiling: layer.ceiling,
            position: position,
            operations: few.operations(.expanded, queryTokens: tokens, keyTokens: position, slots: nil)
                / Double(tokens),
            bytes: data.latentBytes(tokens: Double(position)) / Double(tokens),
            sampled: "\(heads) of \(sizes.heads) heads, as they are"
        ) { laps in
            _ = try laps.time("dense attention, expanded", scaledBy: 1 / Double(tokens)) {
                try attention.attend(queries, to: data.latents, through: projection, form: .expanded)
            }
        }
    }
}

extension TopK {
    /// Selects from one row of a matrix and forgets the result.
    fileprivate func select(_ scores: MatrixView, row: Int) {
        withUnsafeTemporaryAllocation(of: Int32.self, capacity: count) { slots in
            slots.initialize(repeating: TokenSelection.unused)
            var span = slots.mutableSpan
            let line = UnsafeBufferPointer(start: scores[row], count: scores.columns)
            select(line.span, into: &span)
        }
    }
}

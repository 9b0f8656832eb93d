/// Softmax attention over every visible key: multi-head, grouped-query and multi-query.
///
/// `output = softmax(scale · q · kᵀ) · v`, computed over tiles of keys with an online softmax: the memory for
/// scores does not grow with the sequence.
///
/// Source: Vaswani et al. 2017, equation 1; Dao et al. 2022 for the tiling.
public struct DenseAttention: Sendable {
    /// The threads to use.
    public let workers: Workers
    /// How probabilities and outputs are rounded; float32 leaves them alone.
    public let activations: StorageFormat
    /// The numbers that enter products: queries, keys, values and probabilities as they are, or rounded to bfloat16.
    ///
    /// Log-sum-exp and outputs stay float32. Where `activations` are rounded, products follow from that.
    public let products: ProductArithmetic

    /// Attention on the given threads.
    ///
    /// - Parameters:
    ///   - activations: how probabilities and outputs are rounded.
    ///   - products: the numbers that enter products.
    ///   - workers: the threads to use.
    public init(
        activations: StorageFormat = .float32,
        products: ProductArithmetic = .float32,
        workers: Workers = .all
    ) {
        self.activations = activations
        self.products = products
        self.workers = workers
    }

    /// Attends causally: the last query sees every key, each earlier one a key less.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`.
    ///   - keys: `[keyTokens, keyHeads, headDim]`; `keyTokens >= queryTokens`, `keyHeads` divides `heads`, and
    ///     query head `h` uses key head `h / (heads / keyHeads)`.
    ///   - values: `[keyTokens, keyHeads, valueDim]`.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score of each query token and head.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    /// - Complexity: `2 · queryTokens · keyTokens · heads · (headDim + valueDim)` operations before masking.
    public func attend(
        _ queries: Tensor,
        keys: Tensor,
        values: Tensor,
        scale: Float
    ) throws(SparseAttentionError) -> AttentionResult {
        let keyHeads = try Self.validate(queries, keys: keys, values: values, scale: scale)
        let (headDim, valueDim) = (queries.shape[2], values.shape[2])
        return keys.withMatrix { keys in
            values.withMatrix { values in
                // [tokens · keyHeads, dim] rows, of which every keyHeads-th belongs to one head
                let tokens = values.rows / keyHeads
                return attend(
                    queries,
                    keyHeads: (0..<keyHeads).map { head in
                        let keyStart = UnsafeRawPointer(keys.base + head * headDim)
                        let valueStart = UnsafeRawPointer(values.base + head * valueDim)
                        return KeyHead(
                            keys: RowsView(
                                base: keyStart,
                                format: .float32,
                                rows: tokens,
                                columns: headDim,
                                stride: keyHeads * headDim
                            ),
                            values: RowsView(
                                base: valueStart,
                                format: .float32,
                                rows: tokens,
                                columns: valueDim,
                                stride: keyHeads * valueDim
                            )
                        )
                    },
                    valueDim: valueDim,
                    position: tokens - queries.shape[0],
                    scale: scale
                )
            }
        }
    }

    /// Checks the arguments of `attend` and returns the number of key heads.
    static func validate(
        _ queries: Tensor,
        keys: Tensor,
        values: Tensor,
        scale: Float
    ) throws(SparseAttentionError) -> Int {
        for (tensor, name) in [(queries, "queries"), (keys, "keys"), (values, "values")] {
            guard tensor.shape.rank == 3 else {
                throw .dimensionMismatch(.rank, argument: name, expected: 3, found: tensor.shape.rank)
            }
        }
        let (heads, keyHeads) = (queries.shape[1], keys.shape[1])
        guard keys.shape[2] == queries.shape[2] else {
            throw .dimensionMismatch(
                .headDim,
                argument: "keys",
                expected: queries.shape[2],
                found: keys.shape[2]
            )
        }
        guard values.shape[0] == keys.shape[0] else {
            throw .dimensionMismatch(
                .keyTokens,
                argument: "values",
                expected: keys.shape[0],
                found: values.shape[0]
            )
        }
        guard values.shape[1] == keyHeads else {
            throw .dimensionMismatch(
                .keyHeads,
                argument: "values",
                expected: keyHeads,
                found: values.shape[1]
            )
        }
        guard heads > 0, keyHeads > 0, heads % keyHeads == 0 else {
            throw .invalidSetting(
                name: "heads",
                found: "\(heads) over \(keyHeads)",
                expected: "a positive multiple"
            )
        }
        guard queries.shape[0] <= keys.shape[0] else {
            throw .invalidSetting(
                name: "queryTokens",
                found: "\(queries.shape[0])",
                expected: "at most the \(keys.shape[0]) key tokens"
            )
        }
        try requirePositive(scale)
        return keyHeads
    }
}

/// Refuses a softmax scale that is not a positive number.
func requirePositive(_ scale: Float) throws(SparseAttentionError) {
    guard scale > 0, scale.isFinite else {
        throw .invalidSetting(name: "scale", found: "\(scale)", expected: "a positive number")
    }
}

// MARK: - Tiles

extension DenseAttention {
    /// Query rows (tokens × heads of a group) in one tile: enough for OpenBLAS to run near its peak.
    private static let tileRows = 128
    /// Keys in one tile: its scores stay in the second-level cache.
    private static let tileKeys = 256
    /// With fewer tiles of queries than this, keys are split as well, so that one decoded token keeps
    /// every core busy.
    private static let enoughTiles = 32
    /// The fewest keys of a part when keys are split, and the most parts.
    private static let (partKeys, mostParts) = (512, 64)

    /// Attends causally to rows that all heads share: a row is the key, its first columns are the value.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, rowDim]`, absorbed.
    ///   - latents: the rows of the sequence; those from `position + queryTokens` on are not read.
    ///   - valueDim: the width of a value, at most `rowDim`.
    ///   - position: the position of the first query token.
    ///   - scale: what scores are multiplied by, positive.
    /// - Returns: output, log-sum-exp and largest score of each query token and head.
    /// - Complexity: `2 · queryTokens · keyTokens · heads · (rowDim + valueDim)` operations before masking.
    package func attend(
        _ queries: Tensor,
        to latents: RowsView,
        valueDim: Int,
        position: Int,
        scale: Float
    ) -> AttentionResult {
        precondition(
            queries.shape.rank == 3 && queries.shape[2] == latents.columns && valueDim <= latents.columns
        )
        precondition(position >= 0 && position + queries.shape[0] <= latents.rows)
        return attend(
            queries,
            keyHeads: [KeyHead(keys: latents, values: nil)],
            valueDim: valueDim,
            position: position,
            scale: scale
        )
    }

    /// Attends with queries at `position ..< position + queryTokens` over keys at `0 ..< keyTokens`.
    private func attend(
        _ queries: Tensor,
        keyHeads: [KeyHead],
        valueDim: Int,
        position: Int,
        scale: Float
    ) -> AttentionResult {
        let heads = queries.shape[1] / keyHeads.count
        let rows = max(1, Self.tileRows / heads) * heads
        guard products == .float32 || activations != .float32 else {
            return attend(queries, keyHeads: keyHeads, valueDim: valueDim, position: position) {
                RoundedTile(
                    rows: rows,
                    keyDim: keyHeads[0].keys.columns,
                    valueDim: valueDim,
                    separateValues: keyHeads[0].values != nil,
                    scale: scale
                )
            }
        }
        return attend(queries, keyHeads: keyHeads, valueDim: valueDim, position: position) {
            TileMemory(
                rows: rows,
                keys: Self.tileKeys,
                keyHead: keyHeads[0],
                valueDim: valueDim,
                scale: scale,
                activations: activations
            )
        }
    }

    private func attend<Memory: QueryTile>(
        _ queries: Tensor,
        keyHeads: [KeyHead],
        valueDim: Int,
        position: Int,
        memory: @Sendable () -> Memory
    ) -> AttentionResult {
        let (queryTokens, heads) = (queries.shape[0], queries.shape[1])
        let group = heads / keyHeads.count
        let tileTokens = max(1, Self.tileRows / group)
        let tiles = tileCount(queryTokens, tileTokens)
        let keyTokens = position + queryTokens
        let keysPerPart =
            tiles * keyHeads.count >= Self.enoughTiles || activations != .float32
            ? max(keyTokens, 1)
            : max(
                Self.partKeys,
                tileCount(tileCount(keyTokens, Self.mostParts), Self.tileKeys) * Self.tileKeys
            )
        let parts = max(tileCount(keyTokens, keysPerPart), 1)
        // One result for each part of the keys, one after the other.
        var results = AttentionResult(queryTokens: parts * queryTokens, heads: heads, valueDim: valueDim)
        results.withRows { results in
            queries.withMatrix { queries in
                workers.run(
                    tiles: parts * keyHeads.count * tiles,
                    scratch: memory,
                    { index, memory in
                        let (part, tile) = (index % parts, index / parts % tiles)
                        let head = index / parts / tiles
                        let tokens = tile * tileTokens..<min((tile + 1) * tileTokens, queryTokens)
                        memory.load(
                            queries,
                            tokens: tokens,
                            heads: head * group..<(head + 1) * group,
                            of: heads
                        )
                        // Early tokens see nothing of the later parts.
                        let start = part * keysPerPart
                        let end = max(start, min(start + keysPerPart, position + tokens.upperBound))
                        memory.attend(
                            keyHeads[head],
                            keys: start..<end,
                            firstVisible: position + tokens.lowerBound + 1,
                            group: group
                        )
                        for token in tokens {
                            for member in 0..<group {
                                memory.finish(
                                    row: (token - tokens.lowerBound) * group + member,
                                    into: results,
                                    at: (part * queryTokens + token) * heads + head * group + member
                                )
                            }
                        }
                    }
                )
            }
        }
        return results.merged(parts: parts, workers: workers)
    }
}

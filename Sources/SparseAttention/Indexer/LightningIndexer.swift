/// The lightning indexer: scores every visible token cheaply and keeps the k best.
///
/// `I[t, s] = Σ_j w[t, j] · relu(q[t, j] · k[s])` for `s <= t`, with
/// `w[t, j] = headWeights[t, j] · heads^-½ · headDim^-½`.
///
/// Source: V3.2-Exp report §1 eq. (1); `inference/model.py`, `Indexer`.
public struct LightningIndexer: Sendable {
    /// The arithmetic of the scores.
    public enum Precision: Equatable, Sendable {
        /// Float32 throughout, as Hugging Face computes them in float32.
        case float32
        /// As deployed: queries and keys Hadamard-rotated, rounded as `rotated` says and quantized to E4M3, one
        /// scale a row; products exact, sums in float32; the query's scale folded into the head weight, the key's
        /// applied to the sum.
        case float8(ScaleFormat, rotated: StorageFormat = .bfloat16)
    }

    /// The number of index heads.
    public let heads: Int
    /// The width of index queries and keys.
    public let headDim: Int
    /// The most tokens to select for each query token.
    public let topK: TopK
    /// The arithmetic of the scores.
    public let precision: Precision
    /// The threads to use.
    public let workers: Workers

    /// An indexer of the given size.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` when a size is not positive, or when `headDim` is not a
    ///   power of two of at most 128 for `float8`.
    public init(
        heads: Int,
        headDim: Int,
        topK: Int,
        precision: Precision = .float32,
        workers: Workers = .all
    ) throws(SparseAttentionError) {
        guard heads >= 1 else {
            throw .invalidSetting(name: "index heads", found: "\(heads)", expected: "at least 1")
        }
        guard headDim >= 1 else {
            throw .invalidSetting(name: "index head dim", found: "\(headDim)", expected: "at least 1")
        }
        if case .float8 = precision {
            guard headDim <= QuantizedRows.blockColumns, headDim & (headDim - 1) == 0 else {
                throw .invalidSetting(
                    name: "index head dim",
                    found: "\(headDim)",
                    expected: "a power of two of at most \(QuantizedRows.blockColumns) for FP8 scores"
                )
            }
        }
        self.heads = heads
        self.headDim = headDim
        self.topK = try TopK(topK)
        self.precision = precision
        self.workers = workers
    }
}

// MARK: - Selecting

extension LightningIndexer {
    /// Selects the tokens each query token attends to.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: the index keys of the sequence so far, the query tokens' own included.
    ///   - position: the position of the first query token.
    /// - Returns: the selection; at most `topK` slots, ascending positions, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    /// - Complexity: `2 · queryTokens · keyTokens · heads · headDim` operations; working memory
    ///   O(workers · keyTokens).
    public func select(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        try keys.withRows { keys throws(SparseAttentionError) in
            try select(queries: queries, weights: weights, keys: keys, from: position)
        }
    }

    /// Selects the tokens each query token attends to.
    ///
    /// - Parameters: as for a cache, with `keys` of shape `[keyTokens, headDim]`.
    /// - Returns: the selection; at most `topK` slots, ascending positions, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func select(
        queries: Tensor,
        weights: Tensor,
        keys: Tensor,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        try keys.withRows { keys throws(SparseAttentionError) in
            try select(queries: queries, weights: weights, keys: keys, from: position)
        }
    }

    func select(
        queries: Tensor,
        weights: Tensor,
        keys: RowsView,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        let visible = try validate(queries: queries, weights: weights, keys: keys, from: position)
        switch precision {
        case .float32:
            return IndexScores(
                queries: IndexQueries(queries, weights: folded(weights), inBFloat16: false),
                keys: IndexKeys(keys),
                workers: workers
            )
            .select(topK, visible: visible, position: position)
        case .float8(let format, let rotated):
            let coded = try CodedOperands(
                queries: queries,
                keys: keys.widened(),
                format: format,
                rotated: rotated
            )
            return try select(
                queryCodes: coded.queries,
                weights: weights,
                keyCodes: coded.keys,
                from: position
            )
        }
    }

    /// Selects from queries and keys that are already FP8 codes.
    ///
    /// - Parameters:
    ///   - queryCodes: `[queryTokens · heads, headDim]`, one scale a row.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keyCodes: `[keyTokens, headDim]`, one scale a row.
    ///   - position: the position of the first query token.
    /// - Returns: the selection; at most `topK` slots, ascending positions, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func select(
        queryCodes: QuantizedRows,
        weights: Tensor,
        keyCodes: QuantizedRows,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        try withScores(queryCodes: queryCodes, weights: weights, keyCodes: keyCodes, from: position) {
            $0.select(topK, visible: $1, position: position)
        }
    }
}

// MARK: - Scoring

extension LightningIndexer {
    /// Scores every visible token, for inspection: the whole matrix is kept.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: `[keyTokens, headDim]`.
    ///   - position: the position of the first query token.
    /// - Returns: `[queryTokens, position + queryTokens]`; −infinity where a token is not visible.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func scores(
        queries: Tensor,
        weights: Tensor,
        keys: Tensor,
        from position: Int
    ) throws(SparseAttentionError) -> Tensor {
        try keys.withRows { rows throws(SparseAttentionError) in
            let visible = try validate(queries: queries, weights: weights, keys: rows, from: position)
            switch precision {
            case .float32:
                return IndexScores(
                    queries: IndexQueries(queries, weights: folded(weights), inBFloat16: false),
                    keys: IndexKeys(rows),
                    workers: workers
                ).all(visible: visible, position: position)
            case .float8(let format, let rotated):
                let coded = try CodedOperands(queries: queries, keys: keys, format: format, rotated: rotated)
                return try scores(
                    queryCodes: coded.queries,
                    weights: weights,
                    keyCodes: coded.keys,
                    from: position
                )
            }
        }
    }

    /// Scores from queries and keys that are already FP8 codes: `(Σ_j relu(q8 · k8) · w) · keyScale`.
    ///
    /// - Parameters: as those of `select(queryCodes:weights:keyCodes:from:)`.
    /// - Returns: `[queryTokens, position + queryTokens]`; −infinity where a token is not visible.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `fp8_index`.
    public func scores(
        queryCodes: QuantizedRows,
        weights: Tensor,
        keyCodes: QuantizedRows,
        from position: Int
    ) throws(SparseAttentionError) -> Tensor {
        try withScores(queryCodes: queryCodes, weights: weights, keyCodes: keyCodes, from: position) {
            $0.all(visible: $1, position: position)
        }
    }

    private func withScores<Result>(
        queryCodes: QuantizedRows,
        weights: Tensor,
        keyCodes: QuantizedRows,
        from position: Int,
        _ body: (IndexScores, Int) -> Result
    ) throws(SparseAttentionError) -> Result {
        guard headDim <= QuantizedRows.blockColumns else {
            throw .invalidSetting(
                name: "index head dim",
                found: "\(headDim)",
                expected: "at most \(QuantizedRows.blockColumns), so that a row of codes has one scale"
            )
        }
        let tokens = queryCodes.rows / heads
        guard queryCodes.columns == headDim, queryCodes.rows == tokens * heads else {
            throw .shapeMismatch(
                argument: "queryCodes",
                expected: [tokens * heads, headDim],
                found: [queryCodes.rows, queryCodes.columns]
            )
        }
        let queries = try queryCodes.widenedCodes().reshaped([tokens, heads, headDim])
        let visible = try validate(
            queries: queries,
            weights: weights,
            keyTokens: keyCodes.rows,
            keyDim: keyCodes.columns,
            from: position
        )
        var folded = folded(weights)
        for index in 0..<folded.count {
            folded[index] *= queryCodes.scales[index]
        }
        let operands = IndexQueries(queries, weights: folded, inBFloat16: Kernels.multipliesBFloat16)
        return keyCodes.withKeys { keys in
            body(IndexScores(queries: operands, keys: keys, workers: workers), visible)
        }
    }

    /// The head weights with the constants of the score multiplied in.
    private func folded(_ weights: Tensor) -> Tensor {
        let factor = 1 / Float(heads).squareRoot() * (1 / Float(headDim).squareRoot())
        var folded = weights
        folded.withMutableMatrix { matrix in
            Kernels.scale(matrix.base, by: factor, count: matrix.rows * matrix.columns)
        }
        return folded
    }

    /// Checks the arguments of `select` and returns the number of tokens the last query sees.
    func validate(
        queries: Tensor,
        weights: Tensor,
        keys: RowsView,
        from position: Int
    ) throws(SparseAttentionError) -> Int {
        try validate(
            queries: queries,
            weights: weights,
            keyTokens: keys.rows,
            keyDim: keys.columns,
            from: position
        )
    }

    private func validate(
        queries: Tensor,
        weights: Tensor,
        keyTokens: Int,
        keyDim: Int,
        from position: Int
    ) throws(SparseAttentionError) -> Int {
        let tokens = queries.shape.dimensions.first ?? 0
        guard queries.shape == [tokens, heads, headDim] else {
            throw .shapeMismatch(
                argument: "queries",
                expected: [tokens, heads, headDim],
                found: queries.shape
            )
        }
        guard weights.shape == [tokens, heads] else {
            throw .shapeMismatch(argument: "weights", expected: [tokens, heads], found: weights.shape)
        }
        guard keyDim == headDim else {
            throw .dimensionMismatch(.indexHeadDim, argument: "keys", expected: headDim, found: keyDim)
        }
        guard position >= 0, position + tokens <= keyTokens else {
            throw .positionOutOfRange(position: position, allowed: 0..<max(keyTokens - tokens + 1, 0))
        }
        return position + tokens
    }
}

/// Queries and keys as the deployed indexer sees them: rotated, rounded, quantized.
private struct CodedOperands {
    let queries: QuantizedRows
    let keys: QuantizedRows

    init(
        queries: Tensor,
        keys: Tensor,
        format: ScaleFormat,
        rotated: StorageFormat
    ) throws(SparseAttentionError) {
        func coded(_ rows: Tensor) throws(SparseAttentionError) -> QuantizedRows {
            try QuantizedRows(quantizing: rows.hadamardRotated().rounded(to: rotated), format: format)
        }
        self.queries = try coded(queries)
        self.keys = try coded(keys)
    }
}

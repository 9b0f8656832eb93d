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
        /// Queries and keys rounded to bfloat16; products exact, everything else in float32. Keys of a cache in bfloat16
        /// or FP8 enter as they are stored.
        case bfloat16
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
    /// - Parameters:
    ///   - heads: the index heads; 64 in DeepSeek-V3.2.
    ///   - headDim: the numbers of an index query or key; 128 there.
    ///   - topK: the most tokens to select for each query token; 2,048 there.
    ///   - precision: the arithmetic of the scores.
    ///   - workers: the threads to use.
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

// MARK: - Keys

extension LightningIndexer {
    /// What the rows of a cache should be for this indexer, so that no key is encoded more than once.
    ///
    /// - Parameter format: how a cache stores keys that are scored as they are.
    /// - Returns: as ``Precision/keyEncoding(for:)``.
    public func keyEncoding(for format: CacheFormat) -> IndexKeyEncoding {
        precision.keyEncoding(for: format)
    }
}

extension LightningIndexer.Precision {
    /// What the rows of a cache should be for scores of this arithmetic.
    ///
    /// - Parameter format: how a cache stores keys that are scored as they are.
    /// - Returns: rotated codes for FP8 scores, whatever the format; otherwise plain keys, in no wider a format than the
    ///   scores need.
    public func keyEncoding(for format: CacheFormat) -> IndexKeyEncoding {
        switch self {
        case .float32: .plain(format)
        case .bfloat16: .plain(format == .float32 ? .bfloat16 : format)
        case .float8(let scales, let rotated): .rotatedCodes(scales, rotated: rotated)
        }
    }
}

// MARK: - Selecting

extension LightningIndexer {
    /// Whether the last of a number of tokens has to choose: it sees more than top-k.
    ///
    /// Where it does not, dense attention is the same and needs no scores.
    ///
    /// - Parameter keyTokens: the tokens of the sequence so far.
    /// - Returns: whether a selection leaves some token out.
    public func chooses(among keyTokens: Int) -> Bool {
        keyTokens > topK.count
    }

    /// Selects the tokens each query token attends to.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: the index keys of the sequence so far, the query tokens' own included. FP8 scores of plain keys encode
    ///     all of them anew, as bfloat16 scores round all keys in float32; see ``keyEncoding(for:)``.
    ///   - position: the position of the first query token.
    /// - Returns: the selection; at most `topK` slots, ascending positions, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together: `invalidSetting` for keys of an encoding that
    ///   this indexer cannot score.
    /// - Complexity: `2 · queryTokens · keyTokens · heads · headDim` operations; working memory
    ///   O(workers · topK), or O(topK) for each of the parts that keys are split into.
    public func select(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        let encoding = keys.encoding
        return try keys.withRows { keys throws(SparseAttentionError) in
            try select(queries: queries, weights: weights, keys: keys, encoding: encoding, from: position)
        }
    }

    /// Selects the tokens each query token attends to.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: `[keyTokens, headDim]`, the query tokens' own included.
    ///   - position: the position of the first query token.
    /// - Returns: the selection; at most `topK` slots, ascending positions, −1 at the end.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public func select(
        queries: Tensor,
        weights: Tensor,
        keys: Tensor,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        try keys.withRows { keys throws(SparseAttentionError) in
            try select(
                queries: queries,
                weights: weights,
                keys: keys,
                encoding: .plain(.float32),
                from: position
            )
        }
    }

    func select(
        queries: Tensor,
        weights: Tensor,
        keys: RowsView,
        encoding: IndexKeyEncoding,
        from position: Int
    ) throws(SparseAttentionError) -> TokenSelection {
        try withScores(queries: queries, weights: weights, keys: keys, encoding: encoding, from: position) {
            $0.select(topK, visible: $1, position: position)
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

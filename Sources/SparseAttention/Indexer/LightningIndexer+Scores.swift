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
        try keys.withRows { keys throws(SparseAttentionError) in
            try withScores(
                queries: queries,
                weights: weights,
                keys: keys,
                encoding: .plain(.float32),
                from: position
            ) { $0.all(visible: $1, position: position) }
        }
    }

    /// Scores every visible token of a cache, for inspection: the whole matrix is kept.
    ///
    /// - Parameters:
    ///   - queries: `[queryTokens, heads, headDim]`, after RoPE.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keys: the index keys of the sequence so far.
    ///   - position: the position of the first query token.
    /// - Returns: `[queryTokens, position + queryTokens]`; −infinity where a token is not visible.
    /// - Throws: `SparseAttentionError` when arguments do not fit together: `invalidSetting` for keys of an encoding that
    ///   this indexer cannot score.
    public func scores(
        queries: Tensor,
        weights: Tensor,
        keys: borrowing IndexKeyCache,
        from position: Int
    ) throws(SparseAttentionError) -> Tensor {
        let encoding = keys.encoding
        return try keys.withRows { keys throws(SparseAttentionError) in
            try withScores(
                queries: queries,
                weights: weights,
                keys: keys,
                encoding: encoding,
                from: position
            ) { $0.all(visible: $1, position: position) }
        }
    }

    /// Scores from queries and keys that are already FP8 codes: `(Σ_j relu(q8 · k8) · w) · keyScale`.
    ///
    /// - Parameters:
    ///   - queryCodes: `[queryTokens · heads, headDim]`, one scale a row.
    ///   - weights: `[queryTokens, heads]`, as `weights_proj` gives them.
    ///   - keyCodes: `[keyTokens, headDim]`, one scale a row.
    ///   - position: the position of the first query token.
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
}

// MARK: - Operands

extension LightningIndexer {
    /// Hands `body` the scores and the number of tokens that the last query token sees.
    func withScores<Result>(
        queries: Tensor,
        weights: Tensor,
        keys: RowsView,
        encoding: IndexKeyEncoding,
        from position: Int,
        _ body: (IndexScores, Int) -> Result
    ) throws(SparseAttentionError) -> Result {
        let visible = try validate(queries: queries, weights: weights, keys: keys, from: position)
        switch (precision, encoding) {
        case (.float32, .plain):
            let operands = IndexQueries(queries, weights: folded(weights), inBFloat16: false)
            return body(IndexScores(queries: operands, keys: IndexKeys(keys), workers: workers), visible)
        case (.bfloat16, .plain(let format)):
            let multiplies = Kernels.multipliesBFloat16
            let rounded = queries.rounded(to: .bfloat16)
            let isNarrow = format != .float32 && keys.columns <= QuantizedRows.blockColumns
            guard !isNarrow else {
                let operands = IndexQueries(rounded, weights: folded(weights), inBFloat16: multiplies)
                return body(IndexScores(queries: operands, keys: IndexKeys(keys), workers: workers), visible)
            }
            let operands = IndexQueries(rounded, weights: folded(weights), inBFloat16: false)
            return keys.widened().rounded(to: .bfloat16).withRows { keys in
                body(IndexScores(queries: operands, keys: IndexKeys(keys), workers: workers), visible)
            }
        case (.float8(let format, let rotated), .plain):
            let keyCodes = try Self.coded(keys.widened(), format: format, rotated: rotated)
            let operands = try coded(queries, weights: weights, format: format, rotated: rotated)
            return keyCodes.withKeys {
                body(IndexScores(queries: operands, keys: $0, workers: workers), visible)
            }
        case (.float8(let format, let rotated), .rotatedCodes) where encoding == keyEncoding(for: .float8):
            let operands = try coded(queries, weights: weights, format: format, rotated: rotated)
            return body(IndexScores(queries: operands, keys: IndexKeys(keys), workers: workers), visible)
        case (.float32, .rotatedCodes), (.bfloat16, .rotatedCodes), (.float8, .rotatedCodes):
            let expected = "\(keyEncoding(for: .float32))"
            throw .invalidSetting(name: "keys", found: "\(encoding)", expected: expected)
        }
    }

    /// The same for queries and keys that are codes.
    func withScores<Result>(
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
        let operands = self.operands(queries, scales: queryCodes.scales, weights: weights)
        return keyCodes.withKeys {
            body(IndexScores(queries: operands, keys: $0, workers: workers), visible)
        }
    }

    /// Queries as the deployed indexer sees them.
    private func coded(
        _ queries: Tensor,
        weights: Tensor,
        format: ScaleFormat,
        rotated: StorageFormat
    ) throws(SparseAttentionError) -> IndexQueries {
        let codes = try Self.coded(queries, format: format, rotated: rotated)
        let numbers = try codes.widenedCodes().reshaped(queries.shape)
        return operands(numbers, scales: codes.scales, weights: weights)
    }

    /// Rows as the deployed indexer sees them: rotated, rounded, quantized.
    private static func coded(
        _ rows: Tensor,
        format: ScaleFormat,
        rotated: StorageFormat
    ) throws(SparseAttentionError) -> QuantizedRows {
        try QuantizedRows(quantizing: rows.hadamardRotated().rounded(to: rotated), format: format)
    }

    /// Codes as numbers, `[queryTokens, heads, headDim]`, with their scales in the weights.
    private func operands(_ codes: Tensor, scales: [Float], weights: Tensor) -> IndexQueries {
        var folded = folded(weights)
        for index in scales.indices {
            folded[index] *= scales[index]
        }
        // Every code is a bfloat16 number: where those multiply faster, nothing is lost.
        return IndexQueries(codes, weights: folded, inBFloat16: Kernels.multipliesBFloat16)
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

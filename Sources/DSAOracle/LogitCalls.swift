import CDSAOracle
import SparseAttention

/// `dsa_mqa_logits` of `dsa_oracle.h`.
@c @implementation
public func dsa_mqa_logits(
    _ q: UnsafeRawPointer?,
    _ q_type: Int32,
    _ kv: UnsafeRawPointer?,
    _ kv_type: Int32,
    _ kv_scales: UnsafePointer<Float>?,
    _ weights: UnsafePointer<Float>?,
    _ k_start: UnsafePointer<Int32>?,
    _ k_end: UnsafePointer<Int32>?,
    _ seq_len: Int64,
    _ heads: Int64,
    _ dim: Int64,
    _ seq_len_kv: Int64,
    _ logits: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_mqa_logits") { () throws(OracleFault) in
        let queryTokens = try tokens(seq_len, "seq_len")
        let heads = try DSAOracle.heads(heads, "heads")
        let headDim = try width(dim, "dim")
        let keyTokens = try tokens(seq_len_kv, "seq_len_kv")
        let queries = try TypedArray(q, "q", ElementType(q_type, "q_type"), queryTokens, heads, headDim)
        let keys = try TypedArray(kv, "kv", ElementType(kv_type, "kv_type"), keyTokens, headDim)
        let scales = try kv_scales.map { pointer throws(OracleFault) in
            try input(pointer, "kv_scales", keyTokens)
        }
        let weights = try TypedArray(weights, "weights", .float32, queryTokens, heads)
        let visible = try ranges(
            input(k_start, "k_start", queryTokens),
            input(k_end, "k_end", queryTokens),
            names: ("k_start", "k_end"),
            limit: keyTokens
        )
        let target = try output(logits, "logits", queryTokens, keyTokens)
        try reserve(LogitRows.chunkTokens, keyTokens, MemoryLayout<Float>.size)
        guard let start = target.baseAddress else { return }
        func write(_ keys: LogitRows.Keys) {
            LogitRows(queries: queries, weights: weights, keys: keys)
                .write(visible, from: 0, into: start, stride: keyTokens)
        }
        guard keys.type == .e4m3 else {
            return try keys.withRows { keys throws(SparseAttentionError) in
                write(.rows(keys, scales: scales?.baseAddress))
            }
        }
        let codes = UnsafeRawBufferPointer(start: keys.base, count: keyTokens * headDim)
        if let scales {
            write(.codes(codes, scales: scales))
        } else {
            [Float](repeating: 1, count: keyTokens).withUnsafeBufferPointer {
                write(.codes(codes, scales: $0))
            }
        }
    }
}

/// `dsa_paged_mqa_logits` of `dsa_oracle.h`.
@c @implementation
public func dsa_paged_mqa_logits(
    _ q: UnsafeRawPointer?,
    _ q_type: Int32,
    _ kv_cache: UnsafePointer<UInt8>?,
    _ weights: UnsafePointer<Float>?,
    _ context_lens: UnsafePointer<Int32>?,
    _ block_table: UnsafePointer<Int32>?,
    _ batch: Int64,
    _ next_n: Int64,
    _ heads: Int64,
    _ dim: Int64,
    _ pages: Int64,
    _ max_blocks: Int64,
    _ max_context_len: Int64,
    _ logits: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_paged_mqa_logits") { () throws(OracleFault) in
        let sequences = try tokens(batch, "batch")
        let tokensEach = try tokens(next_n, "next_n")
        let heads = try DSAOracle.heads(heads, "heads")
        let headDim = try size(dim, "dim", in: 1...DSA_BLOCK_COLUMNS)
        let pages = try tokens(pages, "pages")
        let slots = try tokens(max_blocks, "max_blocks")
        let longest = try tokens(max_context_len, "max_context_len")
        let type = try ElementType(q_type, "q_type")
        let (queryTokens, overflow) = sequences.multipliedReportingOverflow(by: tokensEach)
        guard !overflow, queryTokens <= DSA_MAX_TOKENS else {
            throw .argument(
                "batch · next_n",
                found: "\(batch) · \(next_n)",
                expected: "at most \(DSA_MAX_TOKENS)"
            )
        }
        let queries = try TypedArray(q, "q", type, queryTokens, heads, headDim)
        let weights = try TypedArray(weights, "weights", .float32, queryTokens, heads)
        let cache = try KeyPages(
            bytes: input(kv_cache, "kv_cache", pages, Int(DSA_PAGE_TOKENS), headDim + KeyPages.scaleBytes),
            headDim: headDim
        )
        let contexts = try input(context_lens, "context_lens", sequences)
        let table = try input(block_table, "block_table", sequences, slots)
        let target = try output(logits, "logits", queryTokens, longest)
        try reserve(LogitRows.chunkTokens, longest, MemoryLayout<Float>.size)
        try reserve(longest, headDim, MemoryLayout<Float>.size)
        let rows = try (0..<sequences).map { sequence throws(OracleFault) in
            guard (0...longest).contains(Int(contexts[sequence])) else {
                throw .argument(
                    "context_lens[\(sequence)]",
                    found: "\(contexts[sequence])",
                    expected: "0 to \(longest)"
                )
            }
            let used = tileCount(Int(contexts[sequence]), Int(DSA_PAGE_TOKENS))
            guard used <= slots else {
                throw .argument(
                    "max_blocks",
                    found: "\(slots)",
                    expected: "at least the \(used) pages of sequence \(sequence)"
                )
            }
            for slot in 0..<used
            where table[sequence * slots + slot] < 0 || table[sequence * slots + slot] >= pages {
                throw .argument(
                    "block_table[\(sequence)][\(slot)]",
                    found: "\(table[sequence * slots + slot])",
                    expected: "a page, 0 to \(pages - 1)"
                )
            }
            return sequence * slots..<sequence * slots + used
        }
        guard let start = target.baseAddress else { return }
        for (sequence, slots) in rows.enumerated() {
            let context = Int(contexts[sequence])
            let (codes, scales) = cache.keys(context, in: table[slots])
            let visible = (0..<tokensEach).map { 0..<max(context - tokensEach + $0 + 1, 0) }
            codes.withUnsafeBytes { codes in
                scales.withUnsafeBufferPointer { scales in
                    LogitRows(queries: queries, weights: weights, keys: .codes(codes, scales: scales))
                        .write(
                            visible,
                            from: sequence * tokensEach,
                            into: start + sequence * tokensEach * longest,
                            stride: longest
                        )
                }
            }
        }
    }
}

/// The logits of rows of queries against one sequence of keys.
private struct LogitRows {
    let queries: TypedArray  // [queryTokens, heads, headDim]
    let weights: TypedArray  // [queryTokens, heads]
    let keys: Keys

    /// The keys of a sequence, `[keyTokens, headDim]`, and the scale of each.
    enum Keys {
        case rows(RowsView, scales: UnsafePointer<Float>?)
        case codes(UnsafeRawBufferPointer, scales: UnsafeBufferPointer<Float>)
    }

    /// The query tokens whose logits are held at a time: whole tiles of the core, so that cutting changes no bit.
    static let chunkTokens = 64

    /// Computes one row for each range and writes −infinity outside of it.
    ///
    /// - Parameters:
    ///   - visible: the keys each query token sees.
    ///   - first: the first query token.
    ///   - output: `[visible.count, stride]`.
    ///   - stride: the width of an output row, at least the number of keys.
    func write(
        _ visible: [Range<Int>],
        from first: Int,
        into output: UnsafeMutablePointer<Float>,
        stride: Int
    ) {
        for start in Swift.stride(from: 0, to: visible.count, by: Self.chunkTokens) {
            let chunk = start..<min(start + Self.chunkTokens, visible.count)
            let rows = first + chunk.lowerBound..<first + chunk.upperBound
            let logits = logits(rows)
            logits.withMatrix { logits in
                for (row, index) in chunk.enumerated() {
                    let target = output + index * stride
                    target.update(repeating: -.infinity, count: stride)
                    let range = visible[index]
                    (target + range.lowerBound).update(
                        from: logits[row] + range.lowerBound,
                        count: range.count
                    )
                }
            }
        }
    }
    /// The logits of some query tokens against all keys.
    private func logits(_ tokens: Range<Int>) -> Tensor {
        let (queries, weights) = (self.queries.rows(tokens), self.weights.rows(tokens))
        switch keys {
        case .codes(let codes, let scales):
            return LightningIndexer.logits(
                queries: queries,
                areCodes: self.queries.type == .e4m3,
                weights: weights,
                keyCodes: codes,
                keyScales: scales
            )
        case .rows(let rows, let scales):
            var logits = LightningIndexer.logits(queries: queries, weights: weights, keys: rows)
            guard let scales else { return logits }
            logits.withMutableMatrix { logits in
                for token in 0..<logits.rows {
                    for key in 0..<logits.columns {
                        logits[token][key] *= scales[key]
                    }
                }
            }
            return logits
        }
    }
}

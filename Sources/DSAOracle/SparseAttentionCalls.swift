import CDSAOracle
import SparseAttention

/// `dsa_sparse_mla_forward` of `dsa_oracle.h`.
@c @implementation
public func dsa_sparse_mla_forward(
    _ q: UnsafeRawPointer?,
    _ q_type: Int32,
    _ kv: UnsafeRawPointer?,
    _ kv_type: Int32,
    _ indices: UnsafePointer<Int32>?,
    _ topk_length: UnsafePointer<Int32>?,
    _ s_q: Int64,
    _ s_kv: Int64,
    _ h_q: Int64,
    _ d_qk: Int64,
    _ topk: Int64,
    _ sm_scale: Float,
    _ d_v: Int64,
    _ out: UnsafeMutablePointer<Float>?,
    _ max_logits: UnsafeMutablePointer<Float>?,
    _ lse: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_sparse_mla_forward") { () throws(OracleFault) in
        let queryTokens = try tokens(s_q, "s_q")
        let keyTokens = try tokens(s_kv, "s_kv")
        let heads = try heads(h_q, "h_q")
        let rowDim = try width(d_qk, "d_qk")
        let valueDim = try size(d_v, "d_v", in: 1...Int32(rowDim))
        let rows = try TypedArray(kv, "kv", ElementType(kv_type, "kv_type"), keyTokens, rowDim)
        let call = try SparseCall(
            queries: TypedArray(q, "q", ElementType(q_type, "q_type"), queryTokens, heads, rowDim),
            indices: indices,
            lengths: topk_length,
            topk: topk,
            scale: scale(sm_scale),
            outputs: AttentionOutputs(
                out,
                max_logits,
                lse,
                tokens: queryTokens,
                heads: heads,
                valueDim: valueDim
            ),
            valueDim: valueDim
        )
        let queries = try call.queries.tensor()
        let result = try rows.withRows { rows throws(SparseAttentionError) in
            try call.attend(queries, to: rows)
        }
        call.outputs.write(result)
    }
}

/// `dsa_sparse_mla_packed_forward` of `dsa_oracle.h`.
@c @implementation
public func dsa_sparse_mla_packed_forward(
    _ q: UnsafeRawPointer?,
    _ q_type: Int32,
    _ kv_cache: UnsafePointer<UInt8>?,
    _ indices: UnsafePointer<Int32>?,
    _ topk_length: UnsafePointer<Int32>?,
    _ tokens: Int64,
    _ pages: Int64,
    _ h_q: Int64,
    _ topk: Int64,
    _ sm_scale: Float,
    _ out: UnsafeMutablePointer<Float>?,
    _ max_logits: UnsafeMutablePointer<Float>?,
    _ lse: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_sparse_mla_packed_forward") { () throws(OracleFault) in
        let queryTokens = try DSAOracle.tokens(tokens, "tokens")
        let pages = try size(pages, "pages", in: 0...DSA_MAX_TOKENS / DSA_PAGE_TOKENS)
        let heads = try heads(h_q, "h_q")
        let rowDim = PackedLatentRow.latentDim + PackedLatentRow.ropeDim
        let cache = try input(kv_cache, "kv_cache", pages, Int(DSA_PAGE_TOKENS), PackedLatentRow.byteCount)
        let call = try SparseCall(
            queries: TypedArray(q, "q", ElementType(q_type, "q_type"), queryTokens, heads, rowDim),
            indices: indices,
            lengths: topk_length,
            topk: topk,
            scale: scale(sm_scale),
            outputs: AttentionOutputs(
                out,
                max_logits,
                lse,
                tokens: queryTokens,
                heads: heads,
                valueDim: PackedLatentRow.latentDim
            ),
            valueDim: PackedLatentRow.latentDim
        )
        let queries = try call.queries.tensor()
        let result: AttentionResult
        if let base = cache.baseAddress {
            // A page is 64 rows without a gap, so a slot of the pool is a row.
            let rows = RowsView(packedLatents: base, rows: pages * Int(DSA_PAGE_TOKENS))
            result = try core { () throws(SparseAttentionError) in try call.attend(queries, to: rows) }
        } else {
            let none = Tensor(shape: [0, rowDim])
            result = try core { () throws(SparseAttentionError) in
                try none.withRows { rows throws(SparseAttentionError) in try call.attend(queries, to: rows) }
            }
        }
        call.outputs.write(result)
    }
}

/// The arguments that both forms of sparse attention have.
private struct SparseCall {
    let queries: TypedArray  // [queryTokens, heads, rowDim]
    let selection: TokenSelection
    let scale: Float
    let outputs: AttentionOutputs
    let valueDim: Int

    init(
        queries: TypedArray,
        indices: UnsafePointer<Int32>?,
        lengths: UnsafePointer<Int32>?,
        topk: Int64,
        scale: Float,
        outputs: AttentionOutputs,
        valueDim: Int
    ) throws(OracleFault) {
        let (queryTokens, heads) = (queries.sizes[0], queries.sizes[1])
        let slots = try size(topk, "topk", in: 0...DSA_MAX_TOPK)
        // Of few query tokens the core keeps a result for each part of the selection, 512 slots at least.
        let parts = queryTokens < 16 ? tileCount(slots, 512) : 1
        try reserve(parts + 1, queryTokens, heads, valueDim + 2, MemoryLayout<Float>.size)
        var positions = try Array(input(indices, "indices", queryTokens, slots))
        if let lengths {
            for (token, length) in try input(lengths, "topk_length", queryTokens).enumerated() {
                guard (0...slots).contains(Int(length)) else {
                    throw .argument("topk_length[\(token)]", found: "\(length)", expected: "0 to \(slots)")
                }
                for slot in Int(length)..<slots {
                    positions[token * slots + slot] = TokenSelection.unused
                }
            }
        }
        let given = positions
        selection = try core { () throws(SparseAttentionError) in
            try TokenSelection(positions: given, queryTokens: queryTokens, slots: slots)
        }
        self.queries = queries
        self.scale = scale
        self.outputs = outputs
        self.valueDim = valueDim
    }

    func attend(_ queries: Tensor, to rows: RowsView) throws(SparseAttentionError) -> AttentionResult {
        try TopKAttention(valueDim: valueDim).attend(queries, to: rows, at: selection, scale: scale)
    }
}

import CDSAOracle
import SparseAttention

/// `dsa_mla_forward` of `dsa_oracle.h`.
@c @implementation
public func dsa_mla_forward(
    _ q: UnsafeRawPointer?,
    _ q_type: Int32,
    _ kv: UnsafeRawPointer?,
    _ kv_type: Int32,
    _ s_q: Int64,
    _ s_kv: Int64,
    _ h_q: Int64,
    _ d_qk: Int64,
    _ sm_scale: Float,
    _ d_v: Int64,
    _ out: UnsafeMutablePointer<Float>?,
    _ max_logits: UnsafeMutablePointer<Float>?,
    _ lse: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_mla_forward") { () throws(OracleFault) in
        let (queryTokens, keyTokens) = try causal(s_q, s_kv)
        let heads = try heads(h_q, "h_q")
        let rowDim = try width(d_qk, "d_qk")
        let valueDim = try size(d_v, "d_v", in: 1...Int32(rowDim))
        let scale = try scale(sm_scale)
        let queries = try TypedArray(q, "q", ElementType(q_type, "q_type"), queryTokens, heads, rowDim)
        let rows = try TypedArray(kv, "kv", ElementType(kv_type, "kv_type"), keyTokens, rowDim)
        let outputs = try AttentionOutputs(
            out,
            max_logits,
            lse,
            tokens: queryTokens,
            heads: heads,
            valueDim: valueDim
        )
        try reserveParts(queryTokens: queryTokens, keyTokens: keyTokens, heads: heads, valueDim: valueDim)
        let tensor = try queries.tensor()
        let result = try rows.withRows { rows throws(SparseAttentionError) in
            DenseAttention().attend(
                tensor,
                to: rows,
                valueDim: valueDim,
                position: keyTokens - queryTokens,
                scale: scale
            )
        }
        outputs.write(result)
    }
}

/// `dsa_mha_forward` of `dsa_oracle.h`.
@c @implementation
public func dsa_mha_forward(
    _ q: UnsafeRawPointer?,
    _ k: UnsafeRawPointer?,
    _ v: UnsafeRawPointer?,
    _ type: Int32,
    _ s_q: Int64,
    _ s_kv: Int64,
    _ h_q: Int64,
    _ h_kv: Int64,
    _ d_qk: Int64,
    _ sm_scale: Float,
    _ d_v: Int64,
    _ out: UnsafeMutablePointer<Float>?,
    _ max_logits: UnsafeMutablePointer<Float>?,
    _ lse: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_mha_forward") { () throws(OracleFault) in
        let (queryTokens, keyTokens) = try causal(s_q, s_kv)
        let heads = try DSAOracle.heads(h_q, "h_q")
        let keyHeads = try DSAOracle.heads(h_kv, "h_kv")
        guard heads % keyHeads == 0 else {
            throw .argument("h_kv", found: "\(keyHeads)", expected: "a divisor of h_q, \(heads)")
        }
        let (headDim, valueDim) = try (width(d_qk, "d_qk"), width(d_v, "d_v"))
        let scale = try scale(sm_scale)
        let type = try ElementType(type, "type")
        let queries = try TypedArray(q, "q", type, queryTokens, heads, headDim)
        let keys = try TypedArray(k, "k", type, keyTokens, keyHeads, headDim)
        let values = try TypedArray(v, "v", type, keyTokens, keyHeads, valueDim)
        let outputs = try AttentionOutputs(
            out,
            max_logits,
            lse,
            tokens: queryTokens,
            heads: heads,
            valueDim: valueDim
        )
        try reserveParts(queryTokens: queryTokens, keyTokens: keyTokens, heads: heads, valueDim: valueDim)
        let tensors = try (queries.tensor(), keys.tensor(), values.tensor())
        let result = try core { () throws(SparseAttentionError) in
            try DenseAttention().attend(tensors.0, keys: tensors.1, values: tensors.2, scale: scale)
        }
        outputs.write(result)
    }
}

/// The numbers of query and key tokens, the queries being the last of the keys.
private func causal(_ s_q: Int64, _ s_kv: Int64) throws(OracleFault) -> (queryTokens: Int, keyTokens: Int) {
    let (queryTokens, keyTokens) = try (tokens(s_q, "s_q"), tokens(s_kv, "s_kv"))
    guard queryTokens <= keyTokens else {
        throw .argument("s_q", found: "\(queryTokens)", expected: "at most s_kv, \(keyTokens)")
    }
    return (queryTokens, keyTokens)
}

/// Refuses what the core's results would take: of few query rows it keeps one for each of up to 64 parts of the keys.
private func reserveParts(
    queryTokens: Int,
    keyTokens: Int,
    heads: Int,
    valueDim: Int
) throws(OracleFault) {
    let splitTokens = min(queryTokens, 32 * max(1, 128 / heads))
    let parts = min(64, tileCount(keyTokens, 512) + 1)
    try reserve(parts, splitTokens, heads, valueDim + 2, MemoryLayout<Float>.size)
    try reserve(queryTokens, heads, valueDim + 2, MemoryLayout<Float>.size)
}

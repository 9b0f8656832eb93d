import CDSAOracle
import SparseAttention

/// `dsa_pack_latents` of `dsa_oracle.h`.
@c @implementation
public func dsa_pack_latents(
    _ latents: UnsafeRawPointer?,
    _ rope: UnsafeRawPointer?,
    _ type: Int32,
    _ tokens: Int64,
    _ scale_format: Int32,
    _ rows: UnsafeMutablePointer<UInt8>?
) -> Int32 {
    answer("dsa_pack_latents") { () throws(OracleFault) in
        let tokens = try DSAOracle.tokens(tokens, "tokens")
        let type = try ElementType(type, "type")
        let format = try ScaleFormat(scale_format)
        let target = try output(rows, "rows", tokens, PackedLatentRow.byteCount)
        let latents = try TypedArray(latents, "latents", type, tokens, PackedLatentRow.latentDim)
            .finiteTensor()
        let ropeKeys = try TypedArray(rope, "rope", type, tokens, PackedLatentRow.ropeDim).finiteTensor()
        let bytes = try core { () throws(SparseAttentionError) in
            try PackedLatentRow.pack(latents: latents, ropeKeys: ropeKeys, format: format)
        }
        copy(bytes, to: target)
    }
}

/// `dsa_unpack_latents` of `dsa_oracle.h`.
@c @implementation
public func dsa_unpack_latents(
    _ rows: UnsafePointer<UInt8>?,
    _ tokens: Int64,
    _ values: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_unpack_latents") { () throws(OracleFault) in
        let tokens = try DSAOracle.tokens(tokens, "tokens")
        let rows = try input(rows, "rows", tokens, PackedLatentRow.byteCount)
        let rowDim = PackedLatentRow.latentDim + PackedLatentRow.ropeDim
        let target = try output(values, "values", tokens, rowDim)
        try reserve(tokens, 2, rowDim, MemoryLayout<Float>.size)
        let unpacked = try core { () throws(SparseAttentionError) in try PackedLatentRow.unpack(Array(rows)) }
        copy(unpacked, to: target)
    }
}

/// `dsa_pack_index_keys` of `dsa_oracle.h`.
@c @implementation
public func dsa_pack_index_keys(
    _ keys: UnsafeRawPointer?,
    _ type: Int32,
    _ tokens: Int64,
    _ dim: Int64,
    _ scale_format: Int32,
    _ pages: UnsafeMutablePointer<UInt8>?
) -> Int32 {
    answer("dsa_pack_index_keys") { () throws(OracleFault) in
        let tokens = try DSAOracle.tokens(tokens, "tokens")
        let headDim = try size(dim, "dim", in: 1...DSA_BLOCK_COLUMNS)
        let type = try ElementType(type, "type")
        let format = try ScaleFormat(scale_format)
        let pageCount = tileCount(tokens, Int(DSA_PAGE_TOKENS))
        let target = try output(pages, "pages", pageCount, KeyPages.byteCount(headDim: headDim))
        let keys = try TypedArray(keys, "keys", type, tokens, headDim).finiteTensor()
        let quantized = try core { () throws(SparseAttentionError) in
            try QuantizedRows(quantizing: keys, format: format)
        }
        copy(KeyPages.bytes(of: quantized), to: target)
    }
}

/// `dsa_unpack_index_keys` of `dsa_oracle.h`.
@c @implementation
public func dsa_unpack_index_keys(
    _ pages: UnsafePointer<UInt8>?,
    _ tokens: Int64,
    _ dim: Int64,
    _ keys: UnsafeMutablePointer<Float>?
) -> Int32 {
    answer("dsa_unpack_index_keys") { () throws(OracleFault) in
        let tokens = try DSAOracle.tokens(tokens, "tokens")
        let headDim = try size(dim, "dim", in: 1...DSA_BLOCK_COLUMNS)
        let pageCount = tileCount(tokens, Int(DSA_PAGE_TOKENS))
        let bytes = try input(pages, "pages", pageCount, KeyPages.byteCount(headDim: headDim))
        let target = try output(keys, "keys", tokens, headDim)
        try reserve(tokens, headDim, MemoryLayout<Float>.size)
        let (codes, scales) = KeyPages(bytes: bytes, headDim: headDim).keys(tokens, in: 0..<Int32(pageCount))
        let quantized = try core { () throws(SparseAttentionError) in
            try QuantizedRows(rows: tokens, columns: headDim, codes: codes, scales: scales)
        }
        copy(quantized.dequantized(), to: target)
    }
}

/// Copies a tensor's elements to an array of as many.
func copy(_ tensor: Tensor, to target: UnsafeMutableBufferPointer<Float>) {
    precondition(tensor.count == target.count)
    tensor.withMatrix { target.baseAddress?.update(from: $0.base, count: target.count) }
}

/// Copies an array to one of as many elements; an array of none may be NULL.
func copy<Element>(_ elements: [Element], to target: UnsafeMutableBufferPointer<Element>) {
    precondition(elements.count == target.count)
    guard let start = target.baseAddress else { return }
    elements.withUnsafeBufferPointer { source in
        if let from = source.baseAddress { start.update(from: from, count: source.count) }
    }
}

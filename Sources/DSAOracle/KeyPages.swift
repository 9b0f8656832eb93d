import CDSAOracle
import SparseAttention

/// Pages of index keys: the codes of 64 tokens, then their scales.
///
/// Source: DeepGEMM `tests/test_attention.py`, `kv_cache_cast_to_fp8`.
struct KeyPages {
    let bytes: UnsafeBufferPointer<UInt8>  // [pages, 64 · (headDim + 4)]
    let headDim: Int

    /// The bytes of a scale.
    static let scaleBytes = MemoryLayout<Float>.size

    /// The bytes of a page.
    static func byteCount(headDim: Int) -> Int {
        Int(DSA_PAGE_TOKENS) * (headDim + scaleBytes)
    }

    /// The first tokens of a sequence: codes, and the scale of each.
    ///
    /// - Parameters:
    ///   - tokens: how many.
    ///   - pages: where each 64 of them lie.
    /// - Returns: `[tokens, headDim]` and `[tokens]`.
    /// - Precondition: every page exists, and they have room for the tokens.
    func keys(_ tokens: Int, in pages: some Collection<Int32>) -> (codes: [UInt8], scales: [Float]) {
        var (codes, scales): ([UInt8], [Float]) = ([], [])
        codes.reserveCapacity(tokens * headDim)
        scales.reserveCapacity(tokens)
        let source = UnsafeRawBufferPointer(bytes)
        for page in pages {
            let start = Int(page) * Self.byteCount(headDim: headDim)
            let count = min(Int(DSA_PAGE_TOKENS), tokens - scales.count)
            codes += bytes[start..<start + count * headDim]
            for token in 0..<count {
                let offset = start + Int(DSA_PAGE_TOKENS) * headDim + token * Self.scaleBytes
                let bits = UInt32(littleEndian: source.loadUnaligned(fromByteOffset: offset, as: UInt32.self))
                scales.append(Float(bitPattern: bits))
            }
        }
        return (codes, scales)
    }

    /// The bytes of keys in pages that follow each other; places without a token are 0.
    static func bytes(of keys: QuantizedRows) -> [UInt8] {
        let (tokens, headDim) = (keys.rows, keys.columns)
        let pageTokens = Int(DSA_PAGE_TOKENS)
        let pageBytes = byteCount(headDim: headDim)
        var bytes = [UInt8](repeating: 0, count: tileCount(tokens, pageTokens) * pageBytes)
        for token in 0..<tokens {
            let (page, place) = token.quotientAndRemainder(dividingBy: pageTokens)
            let codes = page * pageBytes + place * headDim
            for column in 0..<headDim {
                bytes[codes + column] = keys.codes[token * headDim + column]
            }
            let scale = page * pageBytes + pageTokens * headDim + place * scaleBytes
            withUnsafeBytes(of: keys.scales[token].bitPattern.littleEndian) { source in
                for (index, byte) in source.enumerated() {
                    bytes[scale + index] = byte
                }
            }
        }
        return bytes
    }
}

import Foundation

/// The FP8 row of a latent cache: 512 E4M3 codes, 4 float32 scales, 64 bfloat16 rope values; little-endian.
///
/// Source: FlashMLA `tests/quant.py`; its README, "FP8 KV cache".
public enum PackedLatentRow {
    /// The numbers of a latent.
    public static let latentDim = 512
    /// The numbers of a rope key.
    public static let ropeDim = 64
    /// The bytes of a row, 656.
    public static let byteCount = latentDim + scales * MemoryLayout<Float>.size + ropeDim * 2

    private static let scales = latentDim / QuantizedRows.blockColumns
    /// The smallest scale of a block.
    ///
    /// FlashMLA bounds the scale here, where activations bound the magnitude.
    private static let smallestScale: Float = 1e-4

    /// Packs rows.
    ///
    /// - Parameters:
    ///   - latents: `[tokens, 512]`, finite.
    ///   - ropeKeys: `[tokens, 64]`, finite.
    ///   - format: how scales are rounded.
    /// - Returns: `[tokens, 656]` bytes.
    /// - Throws: `SparseAttentionError.shapeMismatch` or `nonFinite`.
    public static func pack(
        latents: Tensor,
        ropeKeys: Tensor,
        format: ScaleFormat
    ) throws(SparseAttentionError) -> [UInt8] {
        let tokens = latents.shape.rows
        guard latents.shape == [tokens, latentDim] else {
            throw .shapeMismatch(argument: "latents", expected: [tokens, latentDim], found: latents.shape)
        }
        guard ropeKeys.shape == [tokens, ropeDim] else {
            throw .shapeMismatch(argument: "ropeKeys", expected: [tokens, ropeDim], found: ropeKeys.shape)
        }
        if let index = latents.firstNonFinite { throw .nonFinite(argument: "latents", index: index) }
        if let index = ropeKeys.firstNonFinite { throw .nonFinite(argument: "ropeKeys", index: index) }
        let (latents, ropeKeys) = (latents.elements, ropeKeys.elements)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(tokens * byteCount)
        for token in 0..<tokens {
            let row = latents[token * latentDim..<(token + 1) * latentDim]
            let blockScales = (0..<scales).map { block in
                let start = row.startIndex + block * QuantizedRows.blockColumns
                let part = row[start..<start + QuantizedRows.blockColumns]
                return scale(forLargest: part.reduce(0) { max($0, $1.magnitude) }, format: format)
            }
            for (column, value) in row.enumerated() {
                bytes.append(Float8E4M3(value / blockScales[column / QuantizedRows.blockColumns]).bitPattern)
            }
            for scale in blockScales {
                withUnsafeBytes(of: scale.bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            }
            for value in ropeKeys[token * ropeDim..<(token + 1) * ropeDim] {
                withUnsafeBytes(of: BFloat16(value).bitPattern.littleEndian) { bytes.append(contentsOf: $0) }
            }
        }
        return bytes
    }

    /// Unpacks rows: `code · scale` rounded to bfloat16, then the rope values.
    ///
    /// - Parameter bytes: `[tokens, 656]`.
    /// - Returns: `[tokens, 576]`, every element a bfloat16 number.
    /// - Throws: `SparseAttentionError.dimensionMismatch` when the bytes are not whole rows.
    public static func unpack(_ bytes: [UInt8]) throws(SparseAttentionError) -> Tensor {
        guard bytes.count % byteCount == 0 else {
            let whole = tileCount(bytes.count, byteCount) * byteCount
            throw .dimensionMismatch(.columns, argument: "bytes", expected: whole, found: bytes.count)
        }
        var elements: [Float] = []
        elements.reserveCapacity(bytes.count / byteCount * (latentDim + ropeDim))
        for start in stride(from: 0, to: bytes.count, by: byteCount) {
            let row = bytes[start..<start + byteCount]
            let scaleStart = row.startIndex + latentDim
            for column in 0..<latentDim {
                let bits: UInt32 = integer(row, at: scaleStart + column / QuantizedRows.blockColumns * 4)
                let value =
                    Float8E4M3(bitPattern: row[row.startIndex + column]).float * Float(bitPattern: bits)
                elements.append(BFloat16(value).float)
            }
            for column in 0..<ropeDim {
                let bits: UInt16 = integer(row, at: scaleStart + scales * 4 + column * 2)
                elements.append(BFloat16(bitPattern: bits).float)
            }
        }
        return try Tensor(elements, shape: [bytes.count / byteCount, latentDim + ropeDim])
    }

    /// `max(largest / 448, 1e-4)`, rounded up to a power of two by its float32 logarithm, as FlashMLA does.
    static func scale(forLargest largest: Float, format: ScaleFormat) -> Float {
        let scale = max(largest / Float8E4M3.greatestFinite, smallestScale)
        return format == .powerOfTwo ? exp2(log2(scale).rounded(.up)) : scale
    }

    private static func integer<Integer: FixedWidthInteger>(_ bytes: ArraySlice<UInt8>, at index: Int)
        -> Integer
    {
        (0..<MemoryLayout<Integer>.size).reduce(0) { $0 | Integer(bytes[index + $1]) << (8 * $1) }
    }
}

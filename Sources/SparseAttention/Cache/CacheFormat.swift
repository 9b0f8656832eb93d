/// How a cache stores its rows.
public enum CacheFormat: String, Equatable, Sendable, CaseIterable {
    /// Four bytes a number, exact.
    case float32
    /// Two bytes a number, rounded to nearest, ties to even.
    case bfloat16
    /// E4M3 codes with one power-of-two scale in float32 for every 128 of a row; rope keys in bfloat16.
    ///
    /// A latent row of 512 + 64 numbers takes 656 bytes and reads back as `code · scale` rounded to
    /// bfloat16; an index key of 128 takes 132 and reads back as `code · scale`. NaN and infinities cannot
    /// be stored.
    ///
    /// Source: FlashMLA README, "FP8 KV cache"; V3.2-Exp `inference/kernel.py`, `act_quant`.
    case float8

    /// The bytes of one token's latent and rope key.
    ///
    /// - Parameters:
    ///   - latentDim: the width of the latent, at least 0.
    ///   - ropeDim: the width of the rope key, at least 0.
    /// - Returns: codes or numbers, scales and rope key together.
    public func latentBytes(latentDim: Int, ropeDim: Int) -> Int {
        RowLayout.latents(latentDim: latentDim, ropeDim: ropeDim, format: self, blockRows: 1).rowByteCount
    }

    /// The bytes of one token's index key.
    ///
    /// - Parameter indexHeadDim: the width of the key, at least 0.
    /// - Returns: codes or numbers and scales together.
    public func indexKeyBytes(indexHeadDim: Int) -> Int {
        RowLayout.keys(columns: indexHeadDim, format: self, blockRows: 1).rowByteCount
    }
}

/// A bfloat16 number: the upper half of a `Float`.
///
/// The plain definition of the format; arrays go through the kernels, which are held to it bit for bit.
public struct BFloat16: Equatable, Hashable, Sendable {
    /// Sign, 8 exponent bits, 7 fraction bits.
    public var bitPattern: UInt16

    /// The number with the given bits.
    public init(bitPattern: UInt16) {
        self.bitPattern = bitPattern
    }

    /// Rounds to the nearest bfloat16, ties to even; overflow gives infinity, NaN stays NaN.
    public init(_ value: Float) {
        let bits = value.bitPattern
        guard !value.isNaN else {
            bitPattern = UInt16(truncatingIfNeeded: bits >> 16) | 0x0040
            return
        }
        let tieBreaker = 0x7FFF + ((bits >> 16) & 1)
        bitPattern = UInt16(truncatingIfNeeded: (bits &+ tieBreaker) >> 16)
    }

    /// The exact value.
    public var float: Float {
        Float(bitPattern: UInt32(bitPattern) << 16)
    }
}

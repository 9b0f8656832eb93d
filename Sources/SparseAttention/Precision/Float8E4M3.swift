/// An E4M3 "fn" number: 1 sign, 4 exponent (bias 7) and 3 fraction bits, no infinities.
///
/// The plain definition of the format; arrays go through the kernels, which are held to it bit for bit.
///
/// Source: OCP 8-bit floating point specification; PyTorch's `float8_e4m3fn`.
public struct Float8E4M3: Equatable, Hashable, Sendable {
    /// The code.
    public var bitPattern: UInt8

    /// The largest finite value, 448.
    public static let greatestFinite: Float = 448

    /// The number with the given code.
    public init(bitPattern: UInt8) {
        self.bitPattern = bitPattern
    }

    /// Clamps to ±448 and rounds to nearest, ties to even; subnormals and the sign of zero are kept.
    ///
    /// NaN gives NaN (code 0x7F with the sign of `value`).
    ///
    /// Source: `fp8_encode` in the conformance data's `ref_numerics.py`.
    public init(_ value: Float) {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        guard !value.isNaN else {
            bitPattern = sign | 0x7F
            return
        }
        let magnitude = Swift.min(value.magnitude, Self.greatestFinite)
        // Below 2^-6 the codes are multiples of 2^-9; above, a binade holds eight of them.
        let exponent = magnitude < 0x1p-6 ? -6 : Int(magnitude.exponent)
        let quantum = Float(sign: .plus, exponent: exponent - 3, significand: 1)
        let multiple = Int((magnitude / quantum).rounded(.toNearestOrEven))
        bitPattern = sign | UInt8((exponent + 6) * 8 + multiple)
    }

    /// The exact value; NaN for codes 0x7F and 0xFF.
    public var float: Float {
        let sign: FloatingPointSign = bitPattern & 0x80 == 0 ? .plus : .minus
        let exponent = Int(bitPattern >> 3) & 0xF
        let fraction = Float(bitPattern & 7)
        guard bitPattern & 0x7F != 0x7F else {
            return Float(signOf: sign == .minus ? -1 : 1, magnitudeOf: .nan)
        }
        let magnitude =
            exponent == 0
            ? fraction * 0x1p-9
            : Float(sign: .plus, exponent: exponent - 7, significand: 1 + fraction / 8)
        return sign == .minus ? -magnitude : magnitude
    }
}

/// How the scale of a block of FP8 codes is stored.
public enum ScaleFormat: Equatable, Sendable {
    /// Any positive float32.
    case float32
    /// A power of two, rounded up (`ue8m0`).
    case powerOfTwo

    /// The scale of a block: what one unit of its codes is worth.
    ///
    /// `max(largest, 1e-4) · float32(1/448)`, a multiplication, then rounded up for `powerOfTwo`.
    ///
    /// - Parameter largest: the largest magnitude of the block.
    /// - Returns: the scale, positive.
    ///
    /// Source: V3.2-Exp `inference/kernel.py`, `act_quant`.
    public func scale(forLargest largest: Float) -> Float {
        let scale = Swift.max(largest, Self.smallestLargest) * (1 / Float8E4M3.greatestFinite)
        return self == .powerOfTwo ? UE8M0(roundingUp: scale).float : scale
    }

    /// Blocks whose largest magnitude is smaller are scaled as if it were this.
    public static let smallestLargest: Float = 1e-4
}

/// A power of two from 2^-127 to 2^127 in one byte: the exponent with bias 127, 255 for NaN.
///
/// Source: OCP microscaling specification, E8M0.
public struct UE8M0: Equatable, Hashable, Sendable {
    /// The biased exponent.
    public var bitPattern: UInt8

    /// The number with the given code.
    public init(bitPattern: UInt8) {
        self.bitPattern = bitPattern
    }

    /// The smallest power of two that is not below a positive number; NaN for anything else or beyond 2^127.
    public init(roundingUp value: Float) {
        guard value > 0, value <= 0x1p127 else {
            bitPattern = 255
            return
        }
        let power = Float(sign: .plus, exponent: Int(value.exponent), significand: 1)
        let exponent = Int(value.exponent) + (power < value ? 1 : 0)
        bitPattern = UInt8(Swift.max(exponent, -127) + 127)
    }

    /// The exact value.
    public var float: Float {
        bitPattern == 255 ? .nan : Float(sign: .plus, exponent: Int(bitPattern) - 127, significand: 1)
    }
}

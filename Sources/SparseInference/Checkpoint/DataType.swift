/// What the elements of a stored tensor are; the raw value is how a safetensors header spells it.
public enum DataType: String, CaseIterable, Equatable, Hashable, Sendable {
    /// IEEE 754 binary64.
    case float64 = "F64"
    /// IEEE 754 binary32.
    case float32 = "F32"
    /// IEEE 754 binary16.
    case float16 = "F16"
    /// The upper half of a binary32.
    case bfloat16 = "BF16"
    /// Eight bits: 4 of exponent, 3 of fraction, no infinities.
    case float8E4M3 = "F8_E4M3"
    /// Eight bits: 5 of exponent, 2 of fraction.
    case float8E5M2 = "F8_E5M2"
    /// A power of two: eight bits of exponent.
    case float8E8M0 = "F8_E8M0"
    /// Signed, 64 bits.
    case int64 = "I64"
    /// Signed, 32 bits.
    case int32 = "I32"
    /// Signed, 16 bits.
    case int16 = "I16"
    /// Signed, 8 bits.
    case int8 = "I8"
    /// Unsigned, 64 bits.
    case uint64 = "U64"
    /// Unsigned, 32 bits.
    case uint32 = "U32"
    /// Unsigned, 16 bits.
    case uint16 = "U16"
    /// Unsigned, 8 bits.
    case uint8 = "U8"
    /// A truth value in one byte.
    case bool = "BOOL"

    /// Bytes of one element.
    public var byteWidth: Int {
        switch self {
        case .float64, .int64, .uint64: 8
        case .float32, .int32, .uint32: 4
        case .float16, .bfloat16, .int16, .uint16: 2
        case .float8E4M3, .float8E5M2, .float8E8M0, .int8, .uint8, .bool: 1
        }
    }
}

extension DataType: CustomStringConvertible {
    /// The type as a safetensors header spells it.
    public var description: String { rawValue }
}

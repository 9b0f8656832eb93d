/// Why a sequence of bytes is not the JSON this package reads.
///
/// Offsets count bytes from the start of the text.
public enum JSONFault: Error, Equatable, Sendable {
    /// The byte at `offset` cannot stand there.
    case unexpectedByte(UInt8, offset: Int)
    /// The text stops in the middle of a value.
    case unexpectedEnd
    /// A string is not valid UTF-8 from `offset` on.
    case invalidUTF8(offset: Int)
    /// The backslash at `offset` starts no escape that JSON knows.
    case invalidEscape(offset: Int)
    /// The escape at `offset` is half of a surrogate pair whose other half is missing.
    case unpairedSurrogate(offset: Int)
    /// The number that starts at `offset` breaks the grammar of numbers.
    case malformedNumber(offset: Int)
    /// One object holds the same key twice.
    case duplicateKey(String)
    /// Arrays and objects nest deeper than `limit`.
    case tooDeep(limit: Int)
    /// Something other than white space follows the value, from `offset` on.
    case trailingBytes(offset: Int)
}

extension JSONFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .unexpectedByte(let byte, let offset):
            "unexpected \(JSONFault.name(of: byte)) at byte \(offset)"
        case .unexpectedEnd:
            "the text ends in the middle of a value"
        case .invalidUTF8(let offset):
            "invalid UTF-8 at byte \(offset)"
        case .invalidEscape(let offset):
            "invalid escape at byte \(offset)"
        case .unpairedSurrogate(let offset):
            "unpaired surrogate at byte \(offset)"
        case .malformedNumber(let offset):
            "malformed number at byte \(offset)"
        case .duplicateKey(let key):
            "key \"\(key)\" appears twice in one object"
        case .tooDeep(let limit):
            "arrays and objects nest deeper than \(limit) levels"
        case .trailingBytes(let offset):
            "expected the end of the text at byte \(offset)"
        }
    }

    private static func name(of byte: UInt8) -> String {
        if (0x21...0x7E).contains(byte) { return "'\(Unicode.Scalar(byte))'" }
        return "byte 0x" + String(byte, radix: 16, uppercase: true)
    }
}

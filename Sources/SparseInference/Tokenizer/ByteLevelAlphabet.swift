/// The alphabet of byte-level tokens: every byte written as one visible character.
///
/// The 188 bytes that Latin-1 prints stand for themselves; the other 68, in rising order, take the code
/// points from U+0100 on. So a space is written `Ġ` and a line feed `Ċ`.
///
/// Source: GPT-2 `src/encoder.py`, `bytes_to_unicode`.
enum ByteLevelAlphabet {
    /// The character of each byte. [256]
    static let scalars: [Unicode.Scalar] = {
        var next: UInt32 = 0x100
        return (UInt8.min...UInt8.max).map { byte in
            if isPrinted(byte) { return Unicode.Scalar(byte) }
            defer { next += 1 }
            return Unicode.Scalar(next) ?? Unicode.Scalar(byte)
        }
    }()

    /// The byte of each code point below U+0144; nil for the 68 that write no byte. [324]
    private static let bytes: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 256 + 68)
        for (byte, scalar) in scalars.enumerated() { bytes[Int(scalar.value)] = UInt8(byte) }
        return bytes
    }()

    /// The byte that a character writes; nil when it is not of this alphabet.
    static func byte(for scalar: Unicode.Scalar) -> UInt8? {
        scalar.value < bytes.count ? bytes[Int(scalar.value)] : nil
    }

    /// Appends the bytes that a token writes; false, and nothing appended, when it leaves the alphabet.
    static func append(_ token: String, to pool: inout [UInt8]) -> Bool {
        let start = pool.count
        for scalar in token.unicodeScalars {
            guard let byte = byte(for: scalar) else {
                pool.removeSubrange(start...)
                return false
            }
            pool.append(byte)
        }
        return true
    }

    private static func isPrinted(_ byte: UInt8) -> Bool {
        switch byte {
        case 0x21...0x7E, 0xA1...0xAC, 0xAE...0xFF: true
        default: false
        }
    }
}

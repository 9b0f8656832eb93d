/// Decodes ids as they come, and gives each character once it is whole.
///
/// A character may be spread over several tokens; its first bytes are held back until the rest decides
/// what they are. All parts and the last one joined are the text that `Tokenizer.decode` gives.
public struct StreamingDecoder: Sendable {
    private let tokenizer: Tokenizer
    private let skippingSpecialTokens: Bool
    /// The first bytes of a character that is not whole yet; at most three.
    private var pending: [UInt8] = []

    /// Makes a decoder at the start of a text.
    ///
    /// - Parameters:
    ///   - tokenizer: what the ids are of.
    ///   - skippingSpecialTokens: whether special tokens leave no text.
    public init(_ tokenizer: Tokenizer, skippingSpecialTokens: Bool = false) {
        self.tokenizer = tokenizer
        self.skippingSpecialTokens = skippingSpecialTokens
    }

    /// Takes the next id and returns the text that is certain now; often empty.
    ///
    /// - Throws: `SparseInferenceError.tokenizer` with `TokenizerFault.unknownID`; the decoder is as before.
    public mutating func append(_ id: Int) throws -> String {
        pending += try tokenizer.bytes(of: id, skippingSpecialTokens: skippingSpecialTokens)
        let settled = pending.count - StreamingDecoder.unfinishedCount(pending)
        defer { pending.removeSubrange(..<settled) }
        return String(decoding: pending[..<settled], as: UTF8.self)
    }

    /// Ends the text, and returns what was held back: nothing, or one U+FFFD.
    ///
    /// The decoder is then at the start of a new text.
    public mutating func finish() -> String {
        defer { pending = [] }
        return String(decoding: pending, as: UTF8.self)
    }
}

// MARK: - Unfinished characters

extension StreamingDecoder {
    /// How many bytes at the end begin a character without ending it; 0 to 3.
    ///
    /// Source: The Unicode Standard, table 3-7, "Well-Formed UTF-8 Byte Sequences".
    private static func unfinishedCount(_ bytes: [UInt8]) -> Int {
        for count in 1...3 where count <= bytes.count {
            let lead = bytes[bytes.count - count]
            if UTF8.isContinuation(lead) { continue }
            let length =
                switch lead {
                case 0xC2...0xDF: 2
                case 0xE0...0xEF: 3
                case 0xF0...0xF4: 4
                default: 1
                }
            guard count < length else { return 0 }
            let isSound = count == 1 || secondBytes(after: lead).contains(bytes[bytes.count - count + 1])
            return isSound ? count : 0
        }
        return 0
    }

    /// The bytes that may stand second, behind a byte that begins a character.
    private static func secondBytes(after lead: UInt8) -> ClosedRange<UInt8> {
        switch lead {
        case 0xE0: 0xA0...0xBF
        case 0xED: 0x80...0x9F
        case 0xF0: 0x90...0xBF
        case 0xF4: 0x80...0x8F
        default: 0x80...0xBF
        }
    }
}

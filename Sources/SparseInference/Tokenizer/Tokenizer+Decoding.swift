// MARK: - Decoding

extension Tokenizer {
    /// The text of ids.
    ///
    /// The bytes of all tokens are joined and read as UTF-8; each longest part that begins a character and
    /// breaks off, and each byte that begins none, becomes one U+FFFD.
    ///
    /// - Parameters:
    ///   - ids: ids of tokens.
    ///   - skippingSpecialTokens: whether special tokens leave no text.
    /// - Returns: the text; other ids may give the same.
    /// - Throws: `SparseInferenceError.tokenizer` with `TokenizerFault.unknownID`.
    public func decode(_ ids: [Int], skippingSpecialTokens: Bool = false) throws -> String {
        var bytes: [UInt8] = []
        for id in ids {
            bytes.append(contentsOf: try self.bytes(of: id, skippingSpecialTokens: skippingSpecialTokens))
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// The bytes that an id adds to a text.
    func bytes(
        of id: Int,
        skippingSpecialTokens: Bool
    ) throws(SparseInferenceError) -> ArraySlice<UInt8> {
        guard let bytes = vocabulary.bytes(of: id) else { throw .tokenizer(file: file, .unknownID(id)) }
        return skippingSpecialTokens && vocabulary.isSpecial(id) ? [] : bytes
    }
}

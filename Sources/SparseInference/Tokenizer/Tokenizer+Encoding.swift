// MARK: - Encoding

extension Tokenizer {
    /// The ids of a text.
    ///
    /// Added tokens are found in it wherever they stand, special ones as well: text that must not hold them
    /// has to be cleaned before.
    ///
    /// - Parameters:
    ///   - text: any text, of any length.
    ///   - addingSpecialTokens: whether to add what begins and ends a prompt: by the file's template, and
    ///     where it has none by `add_bos_token` and `add_eos_token` of `tokenizer_config.json`.
    /// - Returns: the ids in order; for an empty text, those added alone.
    /// - Complexity: O(n log n) in the longest word, O(n) in the number of words.
    public func encode(_ text: String, addingSpecialTokens: Bool = false) -> [Int] {
        var ids: [Int] = addingSpecialTokens ? template.prefix : []
        var encoder = TextEncoder(tokenizer: self)
        let bytes = Array(text.utf8)
        for section in givenTokens.sections(of: bytes) {
            switch section {
            case .token(let id): ids.append(id)
            case .text(let range): encoder.append(bytes[range], to: &ids)
            }
        }
        if addingSpecialTokens { ids += template.suffix }
        return ids
    }
}

/// Encodes text between added tokens, in memory that it keeps from one stretch to the next.
private struct TextEncoder {
    private let tokenizer: Tokenizer
    private var merger: BytePairMerger
    private var word: [UInt8] = []

    init(tokenizer: Tokenizer) {
        self.tokenizer = tokenizer
        merger = BytePairMerger(model: tokenizer.model)
    }

    /// Appends the ids of text in which only normalized added tokens are left to find.
    mutating func append(_ bytes: ArraySlice<UInt8>, to ids: inout [Int]) {
        let text = tokenizer.normalizer.normalize(String(decoding: bytes, as: UTF8.self))
        let normalized = Array(text.utf8)
        for section in tokenizer.normalizedTokens.sections(of: normalized) {
            switch section {
            case .token(let id): ids.append(id)
            case .text(let range): appendPlain(normalized[range], to: &ids)
            }
        }
    }

    /// Appends the ids of text without added tokens.
    private mutating func appendPlain(_ bytes: ArraySlice<UInt8>, to ids: inout [Int]) {
        let words = tokenizer.preTokenizer.words(of: String(decoding: bytes, as: UTF8.self))
        for piece in words.pieces {
            words.copyPiece(piece, to: &word)
            merger.append(word, to: &ids)
        }
    }
}

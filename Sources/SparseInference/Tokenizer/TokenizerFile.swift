/// What `tokenizer.json` says, read and checked.
///
/// Truncation and padding are for batches of a training set and are not looked at; neither are the
/// fields about unknown characters, for every byte must have a token.
struct TokenizerFile: Sendable {
    let vocabulary: Vocabulary
    let addedTokens: [AddedToken]
    let model: BytePairModel
    let normalizer: TextNormalizer
    let preTokenizer: PreTokenizer
    /// The ids around a text that is a whole prompt; nil when the file has no template.
    let template: SpecialTokenTemplate?

    /// Reads the parts of a parsed file.
    ///
    /// - Throws: the first `TokenizerFault` met.
    init(_ value: JSONValue) throws(TokenizerFault) {
        let root = try TokenizerFields(value, path: "")
        if let version = root.optional("version"), version != .string("1.0") {
            throw root.unsupported("version")
        }
        let fields = try root.fields("model")
        if fields.optional("type") != nil, try fields.string("type") != "BPE" {
            throw fields.unsupported("type")
        }
        try TokenizerFile.refuseVariants(of: fields)
        let tokens = try TokenizerFile.tokens(in: fields.fields("vocab"))
        let normalizer = TextNormalizer(
            forms: try TokenizerFile.normalizationForms(in: root, at: "normalizer")
        )
        self.normalizer = normalizer
        addedTokens = try TokenizerFile.addedTokens(in: root, normalizer: normalizer)
        vocabulary = try Vocabulary(model: tokens, added: addedTokens)
        model = try BytePairModel(
            vocabulary: vocabulary,
            tokens: tokens,
            merges: TokenizerFile.merges(in: fields),
            keepsWholeTokens: fields.bool("ignore_merges", default: false)
        )
        preTokenizer = try PreTokenizer(root.value("pre_tokenizer"), path: "pre_tokenizer")
        try TokenizerFile.checkDecoder(in: root)
        template = try SpecialTokenTemplate(in: root, at: "post_processor", vocabulary: vocabulary)
    }
}

// MARK: - Model

extension TokenizerFile {
    /// Refuses forms of byte pair encoding that give other ids than the plain one.
    private static func refuseVariants(of model: TokenizerFields) throws(TokenizerFault) {
        if let dropout = model.optional("dropout"), dropout.double != 0 { throw model.unsupported("dropout") }
        for affix in ["continuing_subword_prefix", "end_of_word_suffix"] {
            if let value = model.optional(affix), value != .string("") { throw model.unsupported(affix) }
        }
    }

    private static func tokens(
        in vocabulary: TokenizerFields
    ) throws(TokenizerFault) -> [(token: String, id: Int)] {
        var tokens: [(token: String, id: Int)] = []
        tokens.reserveCapacity(vocabulary.members.count)
        for member in vocabulary.members {
            guard let id = member.value.int else {
                throw .wrongType(
                    field: vocabulary.name(member.key),
                    expected: "a whole number",
                    found: member.value.summary
                )
            }
            tokens.append((member.key, id))
        }
        return tokens
    }

    /// The merges, each an array of two tokens or one string with a space between them.
    private static func merges(
        in model: TokenizerFields
    ) throws(TokenizerFault) -> [(left: String, right: String)] {
        let value = try model.value("merges")
        guard let elements = value.array else {
            throw .wrongType(field: model.name("merges"), expected: "an array", found: value.summary)
        }
        var merges: [(left: String, right: String)] = []
        merges.reserveCapacity(elements.count)
        for (index, element) in elements.enumerated() {
            guard let pair = pair(element) else { throw .malformedMerge(index: index) }
            merges.append(pair)
        }
        return merges
    }

    private static func pair(_ value: JSONValue) -> (left: String, right: String)? {
        if let line = value.string {
            let parts = line.utf8.split(separator: UInt8(ascii: " "), omittingEmptySubsequences: false)
            guard parts.count == 2 else { return nil }
            return (String(Substring(parts[0])), String(Substring(parts[1])))
        }
        guard let parts = value.array, parts.count == 2, let left = parts[0].string,
            let right = parts[1].string
        else { return nil }
        return (left, right)
    }
}

// MARK: - Added tokens, normalizer, decoder

extension TokenizerFile {
    private static func addedTokens(
        in root: TokenizerFields,
        normalizer: TextNormalizer
    ) throws(TokenizerFault) -> [AddedToken] {
        guard root.optional("added_tokens") != nil else { return [] }
        var tokens: [AddedToken] = []
        for (value, path) in try root.elements("added_tokens") {
            let fields = try TokenizerFields(value, path: path)
            let isSpecial = try fields.bool("special", default: false)
            let isNormalized = try fields.bool("normalized", default: !isSpecial)
            let content = try fields.string("content")
            let token = AddedToken(
                id: try fields.int("id"),
                content: content,
                text: isNormalized ? normalizer.normalize(content) : content,
                isSpecial: isSpecial,
                isNormalized: isNormalized,
                stripsLeft: try fields.bool("lstrip", default: false),
                stripsRight: try fields.bool("rstrip", default: false),
                isSingleWord: try fields.bool("single_word", default: false)
            )
            let byteCount = token.content.utf8.count
            if byteCount == 0 { throw .emptyAddedToken(id: token.id) }
            if byteCount > AddedToken.longestContent {
                throw .addedTokenTooLong(id: token.id, byteCount: byteCount, limit: AddedToken.longestContent)
            }
            tokens.append(token)
        }
        return tokens
    }

    private static func normalizationForms(
        in fields: TokenizerFields,
        at key: String
    ) throws(TokenizerFault) -> [TextNormalizer.Form] {
        guard let value = fields.optional(key) else { return [] }
        return try normalizationForms(value, path: fields.name(key))
    }

    private static func normalizationForms(
        _ value: JSONValue,
        path: String
    ) throws(TokenizerFault) -> [TextNormalizer.Form] {
        let fields = try TokenizerFields(value, path: path)
        let type = try fields.string("type")
        if let form = TextNormalizer.Form(rawValue: type) { return [form] }
        guard type == "Sequence" else { throw fields.unsupported("type") }
        var forms: [TextNormalizer.Form] = []
        for (value, path) in try fields.elements("normalizers") {
            forms += try normalizationForms(value, path: path)
        }
        return forms
    }

    /// Checks that ids are decoded by their bytes, the one way there is.
    private static func checkDecoder(in root: TokenizerFields) throws(TokenizerFault) {
        guard root.optional("decoder") != nil else { throw .missingField("decoder") }
        let decoders = try decoderCount(root.value("decoder"), path: "decoder")
        if decoders != 1 { throw .unsupported(field: "decoder", found: "\(decoders) decoders in a row") }
    }

    private static func decoderCount(_ value: JSONValue, path: String) throws(TokenizerFault) -> Int {
        let fields = try TokenizerFields(value, path: path)
        switch try fields.string("type") {
        case "ByteLevel": return 1
        case "Sequence":
            var count = 0
            for (value, path) in try fields.elements("decoders") {
                count += try decoderCount(value, path: path)
            }
            return count
        default: throw fields.unsupported("type")
        }
    }
}

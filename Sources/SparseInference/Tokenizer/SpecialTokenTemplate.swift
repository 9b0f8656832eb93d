/// The special tokens around a text that is a whole prompt.
struct SpecialTokenTemplate: Equatable, Sendable {
    /// The ids before the text.
    var prefix: [Int] = []
    /// The ids behind the text.
    var suffix: [Int] = []
}

// MARK: - Reading

extension SpecialTokenTemplate {
    /// Reads the post-processor of a file; nil when it adds no tokens.
    ///
    /// Of a `TemplateProcessing`, the template of a single text counts. `ByteLevel` only moves offsets.
    ///
    /// - Throws: `TokenizerFault` for other types, a second template, and tokens not in the vocabulary.
    init?(in root: TokenizerFields, at key: String, vocabulary: Vocabulary) throws(TokenizerFault) {
        guard let value = root.optional(key) else { return nil }
        var template: SpecialTokenTemplate?
        try SpecialTokenTemplate.read(&template, value, path: root.name(key), vocabulary: vocabulary)
        guard let template else { return nil }
        self = template
    }

    /// Finds the only template of a post-processor.
    private static func read(
        _ template: inout SpecialTokenTemplate?,
        _ value: JSONValue,
        path: String,
        vocabulary: Vocabulary
    ) throws(TokenizerFault) {
        let fields = try TokenizerFields(value, path: path)
        switch try fields.string("type") {
        case "ByteLevel": break
        case "Sequence":
            for (value, path) in try fields.elements("processors") {
                try read(&template, value, path: path, vocabulary: vocabulary)
            }
        case "TemplateProcessing":
            if template != nil {
                throw .unsupported(field: path, found: "a second template")
            }
            template = try SpecialTokenTemplate(single: fields, vocabulary: vocabulary)
        default: throw fields.unsupported("type")
        }
    }

    /// Reads the pieces of a template: special tokens, and the text once.
    private init(single fields: TokenizerFields, vocabulary: Vocabulary) throws(TokenizerFault) {
        self.init()
        var hasText = false
        for (value, path) in try fields.elements("single") {
            let piece = try TokenizerFields(value, path: path)
            guard piece.members.count == 1, let kind = piece.members.first?.key else {
                throw fields.unsupported("single")
            }
            switch kind {
            case "Sequence":
                let isFirst = try piece.fields(kind).string("id") == "A"
                guard isFirst, !hasText else { throw piece.unsupported(kind) }
                hasText = true
            case "SpecialToken":
                let name = try piece.fields(kind).string("id")
                let ids = try SpecialTokenTemplate.ids(of: name, in: fields, vocabulary: vocabulary)
                if hasText { suffix += ids } else { prefix += ids }
            default: throw .unsupported(field: path, found: "\"\(kind)\"")
            }
        }
        guard hasText else { throw fields.unsupported("single") }
    }

    /// The ids that the template's own table gives a special token.
    private static func ids(
        of name: String,
        in fields: TokenizerFields,
        vocabulary: Vocabulary
    ) throws(TokenizerFault) -> [Int] {
        let table = try fields.fields("special_tokens")
        var ids: [Int] = []
        for (value, path) in try table.fields(name).elements("ids") {
            guard let id = value.int else {
                throw .wrongType(field: path, expected: "a whole number", found: value.summary)
            }
            guard vocabulary.token(for: id) != nil else {
                throw .unknownToken(field: path, token: String(id))
            }
            ids.append(id)
        }
        return ids
    }
}

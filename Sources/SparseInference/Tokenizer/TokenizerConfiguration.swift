/// What `tokenizer_config.json` says about the tokens that begin and end a text, and about conversations.
struct TokenizerConfiguration: Equatable, Sendable {
    /// The id of `bos_token`; nil when there is none.
    var beginToken: Int?
    /// The id of `eos_token`; nil when there is none.
    var endToken: Int?
    /// Whether a prompt begins with the first; `add_bos_token`.
    var addsBeginToken = false
    /// Whether a prompt ends with the second; `add_eos_token`.
    var addsEndToken = false
    /// `chat_template`: how conversations are written, as a Jinja template; nil when there is none.
    var chatTemplate: String?

    /// What goes around a prompt when `tokenizer.json` has no template of its own.
    var template: SpecialTokenTemplate {
        SpecialTokenTemplate(
            prefix: addsBeginToken ? [beginToken].compactMap(\.self) : [],
            suffix: addsEndToken ? [endToken].compactMap(\.self) : []
        )
    }

    /// What holds when there is no such file.
    init() {}

    /// Reads a parsed file.
    ///
    /// - Throws: `TokenizerFault` for fields of a wrong kind, and tokens that are not in the vocabulary.
    init(_ value: JSONValue, vocabulary: Vocabulary) throws(TokenizerFault) {
        let fields = try TokenizerFields(value, path: "")
        beginToken = try TokenizerConfiguration.id(of: "bos_token", in: fields, vocabulary: vocabulary)
        endToken = try TokenizerConfiguration.id(of: "eos_token", in: fields, vocabulary: vocabulary)
        addsBeginToken = try fields.bool("add_bos_token", default: false)
        addsEndToken = try fields.bool("add_eos_token", default: false)
        chatTemplate = try TokenizerConfiguration.chatTemplate(in: fields)
    }

    /// A template, or the one named `default` of a list of them.
    private static func chatTemplate(in fields: TokenizerFields) throws(TokenizerFault) -> String? {
        guard let value = fields.optional("chat_template") else { return nil }
        guard value.array != nil else { return try fields.string("chat_template") }
        for (template, path) in try fields.elements("chat_template") {
            let template = try TokenizerFields(template, path: path)
            if try template.string("name") == "default" { return try template.string("template") }
        }
        return nil
    }

    /// The id of a token given as a string, or as an object with its `content`.
    private static func id(
        of key: String,
        in fields: TokenizerFields,
        vocabulary: Vocabulary
    ) throws(TokenizerFault) -> Int? {
        guard let value = fields.optional(key) else { return nil }
        let token = try value.object == nil ? fields.string(key) : fields.fields(key).string("content")
        guard let id = vocabulary.id(of: token) else {
            throw .unknownToken(field: fields.name(key), token: token)
        }
        return id
    }
}

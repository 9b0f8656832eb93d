/// What `tokenizer_config.json` says about the tokens that begin and end a text.
struct TokenizerConfiguration: Equatable, Sendable {
    /// The id of `bos_token`; nil when there is none.
    var beginToken: Int?
    /// The id of `eos_token`; nil when there is none.
    var endToken: Int?
    /// Whether a prompt begins with the first; `add_bos_token`.
    var addsBeginToken = false
    /// Whether a prompt ends with the second; `add_eos_token`.
    var addsEndToken = false

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

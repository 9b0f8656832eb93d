/// Why a tokenizer's files cannot be used, or a list of ids cannot be decoded.
///
/// Fields are named by their path in the file, such as `model.vocab`.
public enum TokenizerFault: Error, Equatable, Sendable {
    /// A field that must be there is not.
    case missingField(String)
    /// A field holds another kind of value than it must.
    case wrongType(field: String, expected: String, found: String)
    /// A field asks for something that this tokenizer does not do.
    case unsupported(field: String, found: String)
    /// A token's id is negative, or far beyond the number of tokens.
    case idOutOfRange(token: String, id: Int, limit: Int)
    /// Two tokens claim one id.
    case duplicateID(Int, first: String, second: String)
    /// The list of added tokens holds one token twice.
    case duplicateAddedToken(String)
    /// An added token is also a token of the model, under another id.
    case conflictingIDs(token: String, model: Int, added: Int)
    /// An added token is the empty string.
    case emptyAddedToken(id: Int)
    /// An added token is too long to be looked for at every position of a text.
    case addedTokenTooLong(id: Int, byteCount: Int, limit: Int)
    /// The vocabulary has no token for a single byte that texts contain.
    case missingByteToken(UInt8)
    /// A merge is not a pair of tokens; merges count from zero.
    case malformedMerge(index: Int)
    /// A merge joins a token that is not in the vocabulary.
    case mergeOfUnknownToken(index: Int, token: String)
    /// A merge makes a token that is not in the vocabulary.
    case mergeIntoUnknownToken(index: Int, token: String)
    /// A merge stands in the list a second time.
    case duplicateMerge(index: Int)
    /// A regular expression is malformed, or means something that cannot be said here.
    case invalidPattern(String)
    /// A special token is not in the vocabulary.
    case unknownToken(field: String, token: String)
    /// No token has this id.
    case unknownID(Int)
}

extension TokenizerFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .missingField(let field):
            "\(field) is missing"
        case .wrongType(let field, let expected, let found):
            "\(field) is \(found), expected \(expected)"
        case .unsupported(let field, let found):
            "\(field) is \(found), which is not supported"
        case .idOutOfRange(let token, let id, let limit):
            "token \(TokenizerFault.quoted(token)) has id \(id), expected 0 to \(limit - 1)"
        case .duplicateID(let id, let first, let second):
            "id \(id) belongs to both \(TokenizerFault.quoted(first)) and \(TokenizerFault.quoted(second))"
        case .duplicateAddedToken(let token):
            "added token \(TokenizerFault.quoted(token)) is listed twice"
        case .conflictingIDs(let token, let model, let added):
            "token \(TokenizerFault.quoted(token)) has id \(model) in the model and id \(added) as an added token"
        case .emptyAddedToken(let id):
            "the added token with id \(id) is empty"
        case .addedTokenTooLong(let id, let byteCount, let limit):
            "the added token with id \(id) holds \(byteCount) bytes, expected at most \(limit)"
        case .missingByteToken(let byte):
            "the vocabulary has no token for byte \(byte)"
        case .malformedMerge(let index):
            "merge \(index) is not a pair of tokens"
        case .mergeOfUnknownToken(let index, let token):
            "merge \(index) joins \(TokenizerFault.quoted(token)), which is not in the vocabulary"
        case .mergeIntoUnknownToken(let index, let token):
            "merge \(index) makes \(TokenizerFault.quoted(token)), which is not in the vocabulary"
        case .duplicateMerge(let index):
            "merge \(index) repeats an earlier one"
        case .invalidPattern(let pattern):
            "the regular expression \(TokenizerFault.quoted(pattern)) is malformed or not supported"
        case .unknownToken(let field, let token):
            "\(field) names \(TokenizerFault.quoted(token)), which is not in the vocabulary"
        case .unknownID(let id):
            "no token has id \(id)"
        }
    }

    /// A string of the file, in quotes and cut short where it is long.
    private static func quoted(_ string: String, to limit: Int = 60) -> String {
        "\"\(string.count <= limit ? string : string.prefix(limit) + "…")\""
    }
}

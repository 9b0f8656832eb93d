/// What a caller can get wrong when asking a model for text.
public enum RequestFault: Error, Equatable, Sendable {
    /// A prompt without tokens.
    case emptyPrompt
    /// Text for a checkpoint that has no tokenizer.json.
    case noTokenizer
    /// A model that is neither a folder nor in the Hugging Face cache.
    case unknownModel(String, lookedIn: String)
    /// A token id outside the model's vocabulary.
    case unknownToken(Int, vocabularySize: Int)
    /// More tokens than the sequence, or the model, can hold.
    case contextTooLong(tokens: Int, limit: Int)
    /// Less memory for caches than a prompt and its continuation need by themselves, in bytes.
    case memoryTooSmall(bytes: Int, needed: Int, prompt: Int)
    /// An option outside the range in which it is defined.
    case invalidOption(String, found: String, expected: String)
    /// The model produced a NaN or an infinity; its weights are broken.
    case nonFiniteLogits(position: Int)
}

extension RequestFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .emptyPrompt:
            "the prompt has no tokens, expected at least one"
        case .noTokenizer:
            "the checkpoint has no tokenizer.json, expected one, or a prompt of tokens"
        case .unknownModel(let name, let place):
            "model \(name) is not there, expected a folder or org/name in the Hugging Face cache; looked in \(place)"
        case .unknownToken(let token, let size):
            "token \(token) is not in the vocabulary of \(size) tokens"
        case .contextTooLong(let tokens, let limit):
            "\(tokens) tokens are asked for, expected 1 to \(limit)"
        case .memoryTooSmall(let bytes, let needed, let prompt):
            "\(bytes) bytes are allowed for caches, but prompt \(prompt) and its continuation need \(needed)"
        case .invalidOption(let name, let found, let expected):
            "\(name) is \(found), expected \(expected)"
        case .nonFiniteLogits(let position):
            "the logits after position \(position) hold a NaN or an infinity; the weights are damaged"
        }
    }
}

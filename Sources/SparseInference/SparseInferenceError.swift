/// What can go wrong with a model's files or with a request to run it.
///
/// Every case names the file or the option, what was found and what was expected.
public enum SparseInferenceError: Error, Equatable, Sendable {
    /// A JSON file that cannot be read as JSON.
    case malformedJSON(file: String, JSONFault)
    /// `config.json` describes a model that cannot be, or that this engine does not run.
    case configuration(file: String, ConfigurationFault)
    /// A weight file, or an index of weight files, that cannot be trusted.
    case checkpoint(file: String, CheckpointFault)
    /// `tokenizer.json` does not describe a usable tokenizer.
    case tokenizer(file: String, TokenizerFault)
    /// A stored session that cannot be gone on with.
    case session(file: String, SessionFault)
    /// A prompt or an option that cannot be served.
    case request(RequestFault)
}

// MARK: - Description

extension SparseInferenceError: CustomStringConvertible {
    /// One sentence a person can act on: which file or option, and what is wrong with it.
    public var description: String {
        switch self {
        case .malformedJSON(let file, let fault): "\(file): \(fault)"
        case .configuration(let file, let fault): "\(file): \(fault)"
        case .checkpoint(let file, let fault): "\(file): \(fault)"
        case .tokenizer(let file, let fault): "\(file): \(fault)"
        case .session(let file, let fault): "\(file): \(fault)"
        case .request(let fault): "\(fault)"
        }
    }
}

/// Why a conversation cannot be written as a prompt, or an answer not be read.
public enum ChatFault: Error, Equatable, Sendable {
    /// Something that has to be JSON is not, or is other JSON.
    case malformedJSON(String, reason: String)
    /// A role that no message can have.
    case unknownRole(String, message: Int)
    /// A mode other than `chat` and `thinking`.
    case unknownMode(String)
    /// A tool's result without a call it belongs to.
    case resultWithoutCall(message: Int)
    /// After the user's last turn a thinking model answers without having thought.
    case answerWithoutReasoning(message: Int)
    /// A developer's turn without content.
    case emptyDeveloperTurn(message: Int)
    /// A message of a kind that the format cannot express.
    case notInFormat(String, message: Int)
    /// A call of a tool that is not well-formed.
    case malformedCall(String)
    /// A checkpoint whose conversations are written in a way this package does not know.
    case unknownTemplate(String)
}

extension ChatFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .malformedJSON(let what, let reason): "\(what): \(reason)"
        case .unknownRole(let role, let message):
            "message \(message): role \"\(role)\" is unknown, expected one of "
                + ChatMessage.Role.allCases.map(\.rawValue).joined(separator: ", ")
        case .unknownMode(let mode): "mode \"\(mode)\" is unknown, expected chat or thinking"
        case .resultWithoutCall(let message):
            "message \(message): a tool's result without a call, expected one for each call"
        case .answerWithoutReasoning(let message):
            "message \(message): an answer without reasoning in thinking mode, expected reasoning or a tool call"
        case .emptyDeveloperTurn(let message): "message \(message): an empty developer turn, expected content"
        case .notInFormat(let what, let message):
            "message \(message): \(what) cannot be written in this format"
        case .malformedCall(let reason): "a malformed tool call: \(reason)"
        case .unknownTemplate(let name):
            "conversations of \(name) are written in a way that is not known here, expected those of DeepSeek-V3.1, "
                + "V3.2-Exp, V3.2, GLM-5 or GLM-5.2"
        }
    }
}

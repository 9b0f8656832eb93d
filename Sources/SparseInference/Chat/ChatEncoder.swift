/// Writes conversations as prompts, in the way the models of the family were taught.
public struct ChatEncoder: Equatable, Sendable {
    /// How a conversation is written.
    public enum Format: String, Sendable, CaseIterable {
        /// DeepSeek-V3.1 and V3.2-Exp, without tools.
        case plain
        /// DeepSeek-V3.2, with tools in its mark-up language DSML.
        case dsml
    }

    /// Whether the model thinks before it answers.
    public enum Mode: String, Sendable, CaseIterable {
        /// It answers at once.
        case chat
        /// It thinks first.
        case thinking

        /// The mode of a name.
        ///
        /// - Throws: `ChatFault.unknownMode`.
        public init(named name: String) throws(ChatFault) {
            guard let mode = Mode(rawValue: name) else { throw .unknownMode(name) }
            self = mode
        }
    }

    /// How a conversation is written.
    public var format: Format
    /// Whether the model thinks before it answers.
    public var mode: Mode

    /// An encoder.
    public init(_ format: Format, mode: Mode = .chat) {
        self.format = format
        self.mode = mode
    }

    /// Writes messages as a prompt.
    ///
    /// Content is inserted as it is: what looks like a special token in it is not escaped.
    ///
    /// - Parameters:
    ///   - messages: the messages to write.
    ///   - context: messages before them that have been written already.
    ///   - begins: whether the prompt begins with the begin token, when there is no context.
    ///   - invitesAnswer: whether a prompt in the plain format that ends with a user's turn opens the model's; in DSML it
    ///     always does.
    /// - Returns: the prompt.
    /// - Throws: `ChatFault` for a conversation that cannot be.
    ///
    /// Source: DeepSeek-V3.2 `encoding_dsv32.py`; for the plain format the template of DeepSeek-V3.1.
    public func encode(
        _ messages: [ChatMessage],
        after context: [ChatMessage] = [],
        begins: Bool = true,
        invitesAnswer: Bool = true
    ) throws(ChatFault) -> String {
        let begin = begins && context.isEmpty ? ChatMarker.begin : ""
        switch format {
        case .plain:
            return try begin
                + PlainConversation(mode: mode, messages: context + messages)
                .text(from: context.count, invitesAnswer: invitesAnswer)
        case .dsml:
            return try begin
                + DSMLConversation(mode: mode, messages: context + messages)
                .text(from: context.count)
        }
    }
}

/// The markers between turns.
package enum ChatMarker {
    /// Begins a text.
    package static let begin = "<｜begin▁of▁sentence｜>"
    /// Ends an answer.
    package static let end = "<｜end▁of▁sentence｜>"
    /// Begins a user's turn.
    package static let user = "<｜User｜>"
    /// Begins the model's turn.
    package static let assistant = "<｜Assistant｜>"
    /// Begins what the model thinks.
    package static let beginOfThinking = "<think>"
    /// Ends it.
    package static let endOfThinking = "</think>"
}

// MARK: - Plain

/// A conversation without tools.
private struct PlainConversation {
    let mode: ChatEncoder.Mode
    let messages: [ChatMessage]

    func text(from start: Int, invitesAnswer: Bool) throws(ChatFault) -> String {
        var text = messages[start...].filter { $0.role == .system }.map(\.content).joined(separator: "\n\n")
        var isAsked = start > 0 && messages[start - 1].role == .user
        for (index, message) in messages.enumerated().dropFirst(start) {
            guard message.toolCalls.isEmpty, message.tools.isEmpty, message.responseFormat == nil else {
                throw .notInFormat("a tool or a response format", message: index)
            }
            switch message.role {
            case .system: break
            case .user:
                text += ChatMarker.user + message.content
                isAsked = true
            case .assistant:
                if isAsked { text += ChatMarker.assistant + ChatMarker.endOfThinking }
                isAsked = false
                text += Self.withoutThinking(message.content) + ChatMarker.end
            case .developer, .tool:
                throw .notInFormat("the role \(message.role.rawValue)", message: index)
            }
        }
        guard isAsked, invitesAnswer else { return text }
        let thinking = mode == .thinking ? ChatMarker.beginOfThinking : ChatMarker.endOfThinking
        return text + ChatMarker.assistant + thinking
    }

    /// What follows the first end of thinking, or everything.
    private static func withoutThinking(_ content: String) -> String {
        guard let range = content.utf8.firstRange(of: ChatMarker.endOfThinking.utf8) else { return content }
        return String(content[range.upperBound...])
    }
}

// MARK: - DSML

/// A conversation with tools.
private struct DSMLConversation {
    let mode: ChatEncoder.Mode
    let messages: [ChatMessage]
    /// The place of the last user's or developer's turn; −1 without one.
    private let lastAsked: Int

    init(mode: ChatEncoder.Mode, messages: [ChatMessage]) {
        self.mode = mode
        self.messages = messages
        lastAsked = messages.lastIndex { $0.role == .user || $0.role == .developer } ?? -1
    }

    func text(from start: Int) throws(ChatFault) -> String {
        var text = ""
        for index in start..<messages.count {
            text += try self.text(of: index)
        }
        return text
    }

    private func text(of index: Int) throws(ChatFault) -> String {
        let message = messages[index]
        switch message.role {
        case .system: return message.content + extras(message)
        case .developer:
            guard !message.content.isEmpty else { throw .emptyDeveloperTurn(message: index) }
            return turn(extras(message) + "\n\n# The user's message is: " + message.content, at: index)
        case .user: return turn(message.content, at: index)
        case .assistant: return try answer(message, at: index)
        case .tool: return try result(message, at: index)
        }
    }

    /// The tools and the schema that a message brings along.
    private func extras(_ message: ChatMessage) -> String {
        var text = ""
        if !message.tools.isEmpty {
            text += "\n\n" + DSML.introduction(message.tools.map(\.json).joined(separator: "\n"))
        }
        if let format = message.responseFormat {
            text += "\n\n## Response Format:\n\nYou MUST strictly adhere to the following schema to reply:\n"
            text += format.json
        }
        return text
    }

    private func turn(_ content: String, at index: Int) -> String {
        ChatMarker.user + content + ChatMarker.assistant + thinkingMarker(isLast: index == lastAsked)
    }

    private func thinkingMarker(isLast: Bool) -> String {
        isLast && mode == .thinking ? ChatMarker.beginOfThinking : ChatMarker.endOfThinking
    }

    /// What the model thought is kept only behind the last question.
    private func answer(_ message: ChatMessage, at index: Int) throws(ChatFault) -> String {
        var text = ""
        if mode == .thinking, index > lastAsked {
            guard message.reasoning?.isEmpty == false || !message.toolCalls.isEmpty else {
                throw .answerWithoutReasoning(message: index)
            }
            text += (message.reasoning ?? "") + ChatMarker.endOfThinking
        }
        text += message.content
        if !message.toolCalls.isEmpty { text += "\n\n" + DSML.block(message.toolCalls) }
        return text + ChatMarker.end
    }

    private func result(_ message: ChatMessage, at index: Int) throws(ChatFault) -> String {
        guard let caller = messages[..<index].lastIndex(where: { $0.role != .tool }),
            messages[caller].role == .assistant, messages[caller].toolCalls.count >= index - caller
        else { throw .resultWithoutCall(message: index) }
        var text = index - caller == 1 ? "\n\n<function_results>" : ""
        text += "\n<result>\(message.content)</result>"
        if index - caller == messages[caller].toolCalls.count {
            text += "\n</function_results>\n\n" + thinkingMarker(isLast: index >= lastAsked)
        }
        return text
    }
}

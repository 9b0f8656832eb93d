/// A conversation as DeepSeek-V3.2 writes it, with tools.
struct DSMLConversation {
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
        ChatMarker.DeepSeek.user + content + ChatMarker.DeepSeek.assistant
            + thinkingMarker(isLast: index == lastAsked)
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
        return text + ChatMarker.DeepSeek.end
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

/// A conversation as DeepSeek-V3.1 and V3.2-Exp write it, without tools.
struct PlainConversation {
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
                text += ChatMarker.DeepSeek.user + message.content
                isAsked = true
            case .assistant:
                if isAsked { text += ChatMarker.DeepSeek.assistant + ChatMarker.endOfThinking }
                isAsked = false
                text += Self.withoutThinking(message.content) + ChatMarker.DeepSeek.end
            case .developer, .tool:
                throw .notInFormat("the role \(message.role.rawValue)", message: index)
            }
        }
        guard isAsked, invitesAnswer else { return text }
        let thinking = mode == .thinking ? ChatMarker.beginOfThinking : ChatMarker.endOfThinking
        return text + ChatMarker.DeepSeek.assistant + thinking
    }

    /// What follows the first end of thinking, or everything.
    private static func withoutThinking(_ content: String) -> String {
        guard let range = content.utf8.firstRange(of: ChatMarker.endOfThinking.utf8) else { return content }
        return String(content[range.upperBound...])
    }
}

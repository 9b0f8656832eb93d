/// A conversation as GLM-5 and GLM-5.2 write it.
///
/// Turns end where the next begins. What the model thought is kept behind the user's last turn alone.
///
/// Source: `chat_template.jinja` of zai-org/GLM-4.7, whose renderings are those published of GLM-5, and of zai-org/GLM-5.2.
/// GLM-4.5 and 4.6, whose template breaks lines between the parts and says `/nothink`, have no sparse attention.
struct GLMConversation {
    /// What the templates differ in.
    enum Revision {
        /// A missing thought is an end of thinking alone; tools come in their envelope.
        case glm5
        /// A missing thought is an empty one; tools come bare; the prompt states how hard to think.
        case glm52
    }

    private let revision: Revision
    private let mode: ChatEncoder.Mode
    private let messages: [ChatMessage]
    /// The place of the last user's turn; −1 without one.
    private let lastAsked: Int

    init(_ revision: Revision, mode: ChatEncoder.Mode, messages: [ChatMessage]) {
        self.revision = revision
        self.mode = mode
        self.messages = messages
        lastAsked = messages.lastIndex { $0.role == .user } ?? -1
    }

    func text(from start: Int, invitesAnswer: Bool) throws(ChatFault) -> String {
        var text = start == 0 ? preface : ""
        let opening = messages.prefix { $0.role == .system }.count
        for (index, message) in messages.enumerated().dropFirst(start) {
            guard message.responseFormat == nil else {
                throw .notInFormat("a response format", message: index)
            }
            // All tools stand at the very beginning, and what is written stays written.
            guard message.tools.isEmpty || (index < opening && start == 0) else {
                throw .notInFormat("tools behind the first turn", message: index)
            }
            text += try turn(message, at: index)
        }
        guard invitesAnswer, let last = messages.last, last.role != .assistant else { return text }
        return text + ChatMarker.GLM.assistant + (mode == .thinking ? ChatMarker.beginOfThinking : noThought)
    }

    /// What stands before all turns.
    private var preface: String {
        var text = ""
        // The template's default; its only other level is High.
        if revision == .glm52, mode == .thinking { text += ChatMarker.GLM.system + "Reasoning Effort: Max" }
        let tools = messages.flatMap(\.tools)
        if !tools.isEmpty { text += ChatMarker.GLM.system + GLMCalls.introduction(tools.compactMap(written)) }
        return text
    }

    /// A tool as the model reads it; nil for one that it shall not know of from the start.
    private func written(_ tool: ChatSchema) -> String? {
        guard revision == .glm52 else { return tool.envelope }
        guard tool.object["defer_loading"]?.bool != true else { return nil }
        let members = tool.object.members.filter { !["defer_loading", "strict"].contains($0.key) }
        let text = members.map { "\(JSONValue.string($0.key).pythonText): \($0.value.pythonText)" }
        return "{\(text.joined(separator: ", "))}"
    }

    /// What stands for a thought that is not there.
    private var noThought: String {
        (revision == .glm52 ? ChatMarker.beginOfThinking : "") + ChatMarker.endOfThinking
    }

    private func turn(_ message: ChatMessage, at index: Int) throws(ChatFault) -> String {
        switch message.role {
        case .system: return ChatMarker.GLM.system + message.content
        case .user: return ChatMarker.GLM.user + message.content
        case .assistant: return answer(message, at: index)
        case .tool: return try result(message, at: index)
        case .developer: throw .notInFormat("the role developer", message: index)
        }
    }

    private func answer(_ message: ChatMessage, at index: Int) -> String {
        var (reasoning, content) = (message.reasoning, message.content)
        if reasoning == nil, let parts = Self.split(content) { (reasoning, content) = parts }
        return ChatMarker.GLM.assistant
            + (index > lastAsked ? thought(reasoning) : noThought)
            + content.trimmed
            + message.toolCalls.map(GLMCalls.text).joined()
    }

    private func thought(_ reasoning: String?) -> String {
        guard let reasoning else { return noThought }
        if revision == .glm5, reasoning.isEmpty { return noThought }
        return ChatMarker.beginOfThinking + (revision == .glm5 ? reasoning.trimmed : reasoning)
            + ChatMarker.endOfThinking
    }

    /// A thought within content, and what stands behind its end.
    private static func split(_ content: String) -> (reasoning: String?, content: String)? {
        let (begin, end) = (Array(ChatMarker.beginOfThinking.utf8), Array(ChatMarker.endOfThinking.utf8))
        let bytes = Array(content.utf8)
        let ends = bytes.ranges(of: end)
        guard let first = ends.first, let last = ends.last else { return nil }
        let thought = bytes[..<first.lowerBound]
        let start = thought.ranges(of: begin).last?.upperBound ?? 0
        return (thought[start...].text, bytes[last.upperBound...].text)
    }

    private func result(_ message: ChatMessage, at index: Int) throws(ChatFault) -> String {
        guard let caller = messages[..<index].lastIndex(where: { $0.role != .tool }),
            messages[caller].toolCalls.count >= index - caller
        else { throw .resultWithoutCall(message: index) }
        return (index - caller == 1 ? ChatMarker.GLM.observation : "") + GLMCalls.result(message.content)
    }
}

extension String {
    /// The text without white space around it, by the rules of Python's `strip`.
    var trimmed: String {
        func isSpace(_ scalar: Unicode.Scalar) -> Bool {
            scalar.properties.isWhitespace || ("\u{1C}"..."\u{1F}").contains(scalar)
        }
        var scalars = unicodeScalars.drop(while: isSpace)
        while let last = scalars.last, isSpace(last) { scalars.removeLast() }
        return String(scalars)
    }
}

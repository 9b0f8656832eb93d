/// Writes conversations as prompts, in the way the models of a family were taught.
public struct ChatEncoder: Equatable, Sendable {
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
    ///   - begins: whether the prompt begins with the tokens that begin a text, when there is no context.
    ///   - invitesAnswer: whether a prompt that ends with somebody else's turn opens the model's; in DSML it always does.
    /// - Returns: the prompt.
    /// - Throws: `ChatFault` for a conversation that cannot be.
    ///
    /// Source: DeepSeek-V3.2 `encoding_dsv32.py`; for the plain format the template of DeepSeek-V3.1; for GLM's the
    /// `chat_template.jinja` of GLM-5 and GLM-5.2.
    public func encode(
        _ messages: [ChatMessage],
        after context: [ChatMessage] = [],
        begins: Bool = true,
        invitesAnswer: Bool = true
    ) throws(ChatFault) -> String {
        let (all, start) = (context + messages, context.count)
        func begin(_ tokens: String) -> String { begins && start == 0 ? tokens : "" }
        switch format {
        case .plain:
            return try begin(ChatMarker.DeepSeek.begin)
                + PlainConversation(mode: mode, messages: all).text(from: start, invitesAnswer: invitesAnswer)
        case .dsml:
            return try begin(ChatMarker.DeepSeek.begin)
                + DSMLConversation(mode: mode, messages: all).text(from: start)
        case .glm5: return try begin(ChatMarker.GLM.begin.joined()) + glm(.glm5, all, start, invitesAnswer)
        case .glm52: return try begin(ChatMarker.GLM.begin.joined()) + glm(.glm52, all, start, invitesAnswer)
        }
    }

    private func glm(
        _ revision: GLMConversation.Revision,
        _ messages: [ChatMessage],
        _ start: Int,
        _ invitesAnswer: Bool
    ) throws(ChatFault) -> String {
        try GLMConversation(revision, mode: mode, messages: messages)
            .text(from: start, invitesAnswer: invitesAnswer)
    }
}

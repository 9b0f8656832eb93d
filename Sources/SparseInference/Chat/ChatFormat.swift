extension ChatEncoder {
    /// How a conversation is written.
    public enum Format: String, Sendable, CaseIterable {
        /// DeepSeek-V3.1 and V3.2-Exp, without tools.
        case plain
        /// DeepSeek-V3.2, with tools in its mark-up language DSML.
        case dsml
    }
}

// MARK: - Recognition

extension ChatEncoder.Format {
    /// How a tokenizer's model was taught to converse, by the markers it knows.
    ///
    /// - Throws: `ChatFault.unknownTemplate`.
    public static func of(_ tokenizer: Tokenizer) throws(ChatFault) -> ChatEncoder.Format {
        func knows(_ markers: [String]) -> Bool { markers.allSatisfy { tokenizer.id(of: $0) != nil } }
        guard knows([ChatMarker.DeepSeek.user, ChatMarker.DeepSeek.assistant]) else {
            throw .unknownTemplate(knows(["[gMASK]"]) ? "GLM" : "this checkpoint")
        }
        return knows([DSML.token]) ? .dsml : .plain
    }
}

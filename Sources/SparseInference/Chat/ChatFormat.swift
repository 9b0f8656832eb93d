extension ChatEncoder {
    /// How a conversation is written.
    public enum Format: String, Sendable, CaseIterable {
        /// DeepSeek-V3.1 and V3.2-Exp, without tools.
        case plain
        /// DeepSeek-V3.2, with tools in its mark-up language DSML.
        case dsml
        /// GLM-5, as GLM-4.7 before it.
        case glm5
        /// GLM-5.2, which states how hard to think.
        case glm52
    }
}

// MARK: - Recognition

extension ChatEncoder.Format {
    /// How a tokenizer's model was taught to converse.
    ///
    /// DeepSeek's formats are told by the markers the tokenizer knows. GLM's models share theirs: which of them it is says
    /// the chat template that comes along.
    ///
    /// - Throws: `ChatFault.unknownTemplate`.
    public static func of(_ tokenizer: Tokenizer) throws(ChatFault) -> ChatEncoder.Format {
        func knows(_ markers: [String]) -> Bool { markers.allSatisfy { tokenizer.id(of: $0) != nil } }
        if knows([ChatMarker.DeepSeek.user, ChatMarker.DeepSeek.assistant]) {
            return knows([DSML.token]) ? .dsml : .plain
        }
        guard knows(ChatMarker.GLM.begin + [ChatMarker.GLM.user, ChatMarker.GLM.assistant]) else {
            throw .unknownTemplate("this checkpoint")
        }
        return try glm(tokenizer.chatTemplate)
    }

    /// The format of one of GLM's templates, by what it alone writes.
    private static func glm(_ template: String?) throws(ChatFault) -> ChatEncoder.Format {
        guard let template else { throw .unknownTemplate("a GLM without chat template") }
        // `</think>` alone, or a whole empty thought, stands for an answer without thinking.
        let (closes, empties) = (
            template.contains("'</think>' if"), template.contains("'<think></think>' if")
        )
        if template.contains("/nothink") { throw .unknownTemplate("GLM-4.5 and GLM-4.6") }
        if template.contains("Reasoning Effort") {
            guard empties else { throw .unknownTemplate("a GLM that always thinks, such as GLM-5.3,") }
            return .glm52
        }
        guard closes, !template.contains("tool_to_json") else {
            throw .unknownTemplate("a GLM with another template, such as GLM-5.1,")
        }
        return .glm5
    }
}

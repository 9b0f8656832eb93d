package import SparseInference

/// A long text with facts in it, and questions of which each can be asked right behind it.
package struct NeedleDocument: Sendable {
    /// The tokens, from the begin marker on; the user's turn is still open.
    package let tokens: [Int]
    /// The questions.
    package let questions: [Question]

    /// A question.
    package struct Question: Sendable {
        /// The question, as text.
        package let text: String
        /// Its tokens and the markers of the answer's turn.
        package let prompt: [Int]
        /// The answer, end marker included.
        package let answer: [Int]
        /// The facts it follows from, as ranges of the document's tokens.
        package let needles: [Range<Int>]
    }
}

extension NeedleDocument {
    /// A text of one's own, with questions behind it in the same turn.
    ///
    /// - Parameters:
    ///   - text: the text.
    ///   - questions: asked right behind it.
    ///   - tokenizer: the model's.
    /// - Throws: `SparseInferenceError.request` without a tokenizer, `ChatFault.unknownTemplate` for one without the
    ///   markers of turns.
    package init(_ text: String, questions: [String], tokenizer: Tokenizer?) throws {
        guard let tokenizer else { throw SparseInferenceError.request(.noTokenizer) }
        // DSML differs from the plain format in tools alone, and there are none.
        let format = try ChatEncoder.Format.of(tokenizer)
        let encoder = ChatEncoder(format == .dsml ? .plain : format)
        let opening = try encoder.encode([ChatMessage(.user, text)], invitesAnswer: false)
        let invitation = try encoder.encode([ChatMessage(.user, text)]).unicodeScalars
            .dropFirst(opening.unicodeScalars.count)
        tokens = tokenizer.encode(opening)
        self.questions = questions.map { question in
            Question(
                text: question,
                prompt: tokenizer.encode(" " + question + String(invitation)),
                answer: [],
                needles: []
            )
        }
    }
}

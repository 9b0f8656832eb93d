/// A conversation with a known outcome.
package struct TaskItem: Sendable {
    /// What is asked.
    package let kind: TaskKind
    /// The tokens, from the begin marker on.
    package var tokens: [Int] = []
    /// What predicting each token counts for, `[tokens]`.
    package var weights: [Float] = []
    /// The questions, in their order.
    package var questions: [Question] = []

    /// A question, its answer, and where in the text it can be found.
    package struct Question: Sendable {
        /// What the answerer writes, turn by turn, each with its end marker: one turn, or more where an environment replies.
        package let turns: [Range<Int>]
        /// The facts it follows from.
        package var needles: [Range<Int>] = []
        /// Tells how right an answer is.
        package var judge: any AnswerJudge = ExactMatch()
        /// What replies to a turn; nil where the first is the answer.
        package var environment: (any Environment)?
        /// What it is asked in.
        package var language: Language = .english

        /// From the answer's first token to its last, replies included.
        package var answer: Range<Int> {
            (turns.first?.lowerBound ?? 0)..<(turns.last?.upperBound ?? 0)
        }
    }

    /// How right an answer to one of the questions is, 0 … 1.
    ///
    /// - Parameters:
    ///   - turns: its tokens, turn by turn, an end token included if a turn came to one.
    ///   - question: one of the item's.
    /// - Returns: what the question's judge says.
    package func outcome(of turns: [[Int]], to question: Question) -> Float {
        question.judge.outcome(of: turns, expected: question.turns.map { Array(tokens[$0]) })
    }

    init(_ kind: TaskKind) {
        self.kind = kind
    }
}

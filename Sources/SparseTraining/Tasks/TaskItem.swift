package import SparseInference

/// What a model is asked to do in an item.
package enum TaskKind: String, CaseIterable, Codable, Sendable {
    /// Facts in a long text, asked for at its end.
    case needle
    /// Facts that lead to one another.
    case hops
    /// Phrases of random words, stated again and again.
    case phrases
    /// A list of words, repeated with one of them exchanged.
    case copy
    /// Sums and differences.
    case arithmetic
    /// Brackets to be closed.
    case brackets
    /// A text to be read on: no questions.
    case prose
    // The number of a kind is part of what its items are made from: new ones go to the end.
    /// Programs to be found from examples.
    case programs
    /// Sums, differences and products one after another, worked out before the answer.
    case steps
    /// Who stands before whom, and so where.
    case ordering
    /// Puzzles whose answer follows from what is said, thought about before the answer.
    case logic
    /// A file to be mended, with tools that edit and test it.
    case coding
    /// A question about a long document, with tools that search and open it.
    case search
    /// A text that has to fulfil a rubric.
    case writing

    /// Whether the answer that a question comes with is the only right one.
    var hasOneAnswer: Bool {
        switch self {
        case .programs, .steps, .logic, .coding, .search, .writing: false
        default: true
        }
    }

    /// Whether tools are called before the answer.
    var hasTools: Bool { self == .coding || self == .search }

    /// Checks that a model has tokens for the words of the task.
    ///
    /// - Parameter size: of the model's vocabulary.
    /// - Throws: `RecipeFault.invalid` when it has too few.
    func requireVocabulary(_ size: Int) throws(RecipeFault) {
        let needed =
            switch self {
            case .steps, .logic, .coding, .search, .writing: TaskVocabulary().count
            default: TaskVocabulary(limit: 0).count
            }
        try require(
            size >= needed,
            "vocab_size",
            size,
            "at least \(needed), the tokens of the task \(rawValue)"
        )
    }
}

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

// MARK: - Writing

/// Writes a conversation, piece by piece.
///
/// `begin user text question assistant endOfThinking answer end`, then for each further question
/// `user question assistant endOfThinking answer end`: the plain encoding of the family, without thinking. With
/// thinking it is `assistant beginOfThinking thinking endOfThinking answer end`, and the thinking is part of what is answered.
struct ConversationWriter {
    private(set) var item: TaskItem
    private let vocabulary: TaskVocabulary

    /// What tokens beside the answers count for in tasks that have questions.
    static let contextWeight: Float = 0.1

    /// Tokens around a question and its answer.
    static let turnMarkers = 4

    init(_ kind: TaskKind, _ vocabulary: TaskVocabulary) {
        item = TaskItem(kind)
        self.vocabulary = vocabulary
        add([TaskVocabulary.begin, TaskVocabulary.user], weight: 0)
    }

    private mutating func add(_ tokens: [Int], weight: Float) {
        item.tokens += tokens
        item.weights += [Float](repeating: weight, count: tokens.count)
    }

    /// Adds to the text; returns where it lies.
    @discardableResult
    mutating func text(_ pieces: [String], weight: Float = contextWeight) -> Range<Int> {
        let start = item.tokens.count
        add(vocabulary.ids(pieces), weight: weight)
        return start..<item.tokens.count
    }

    /// Adds a fact that was stated before: what it ends with can be known, and counts as an answer does.
    mutating func recall(_ fact: [String]) {
        text(Array(fact.dropLast(2)))
        text(Array(fact.suffix(2).prefix(1)), weight: 1)
        text(Array(fact.suffix(1)))
    }

    /// Adds words that were stated before, as an answer of their own.
    mutating func recall(_ words: [String], needle: Range<Int>) {
        item.questions.append(.init(turns: [text(words, weight: 1)], needles: [needle]))
    }

    /// Adds a question with its answer; the first belongs to the turn of the text.
    mutating func ask(_ question: [String], answer: [String], needles: [Range<Int>] = []) {
        ask(Turn(question: question, answer: answer, needles: needles))
    }

    /// Adds a turn of each, and a turn with its reply for each call; the first question belongs to the turn of the text.
    mutating func ask(_ turn: Turn, in language: Language = .english) {
        if !item.questions.isEmpty { add([TaskVocabulary.user], weight: 0) }
        add(vocabulary.ids(turn.question) + [TaskVocabulary.assistant], weight: 0)
        let opening = turn.thinking == nil ? TaskVocabulary.endOfThinking : TaskVocabulary.beginOfThinking
        add([opening], weight: 0)
        var turns: [Range<Int>] = []
        func write(_ tokens: [Int]) {
            let start = item.tokens.count
            add(tokens, weight: 1)
            turns.append(start..<item.tokens.count)
        }
        for call in turn.calls {
            write(vocabulary.ids(call) + [TaskVocabulary.end])
            let answer = turns.map { Array(item.tokens[$0]) }
            add(turn.environment?.reply(to: answer) ?? [], weight: 0)
        }
        let thinking = turn.thinking.map { vocabulary.ids($0) + [TaskVocabulary.endOfThinking] } ?? []
        write(thinking + vocabulary.ids(turn.answer) + [TaskVocabulary.end])
        item.questions.append(
            .init(
                turns: turns,
                needles: turn.needles,
                judge: turn.judge,
                environment: turn.environment,
                language: language
            )
        )
    }

    /// Ends a text without questions.
    mutating func end(weight: Float) {
        add([TaskVocabulary.end], weight: weight)
    }
}

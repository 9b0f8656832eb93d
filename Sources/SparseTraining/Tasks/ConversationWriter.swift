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

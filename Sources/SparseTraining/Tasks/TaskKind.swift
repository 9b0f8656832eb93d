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

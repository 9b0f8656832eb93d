import SparseInference

/// Tasks that grow harder with an item's length.
///
/// The first level comes from 64 tokens on, each further one when the length has doubled; every level up to the highest
/// occurs, so that what has been learned is not forgotten. An item is as many turns as fit; with tools it is one.
struct LeveledTasks {
    let vocabulary: TaskVocabulary
    /// The languages of tasks that are worded.
    let languages: LanguageMix

    /// The highest level there is.
    static let levels = 4

    /// The highest level of items of a length.
    static func highestLevel(length: Int) -> Int {
        min(levels, Int.bitWidth - (length / 64).leadingZeroBitCount)
    }

    /// A conversation of at most `length` tokens.
    ///
    /// - Parameters:
    ///   - kind: a task with levels.
    ///   - length: at least 64.
    ///   - questions: the most turns.
    ///   - generator: makes the choices.
    /// - Returns: the conversation.
    func item(_ kind: TaskKind, length: Int, questions: Int, _ generator: inout SplitMix64) -> TaskItem {
        let highest = Self.highestLevel(length: length)
        var writer = ConversationWriter(kind, vocabulary)
        var turns = 0
        repeat {
            let (turn, language) = turn(
                kind,
                level: Int.random(in: 1...highest, using: &generator),
                &generator
            )
            writer.ask(turn, in: language)
            turns += 1
        } while turns < questions && !kind.hasTools
            && writer.item.tokens.count + Self.longestTurn(kind, level: highest) <= length
        return writer.item
    }

    private func turn(_ kind: TaskKind, level: Int, _ generator: inout SplitMix64) -> (Turn, Language) {
        switch kind {
        case .programs: return (ProgramTasks(vocabulary: vocabulary).turn(level: level, &generator), .english)
        case .ordering: return (OrderingTasks().turn(level: level, &generator), .english)
        default: break
        }
        let chosen = languages.draw(&generator)
        let turn =
            switch kind {
            case .steps: StepTasks().turn(level: level, chosen, &generator)
            case .logic: LogicTasks().turn(level: level, chosen, vocabulary, &generator)
            case .coding: CodingTasks(vocabulary: vocabulary).turn(level: level, chosen, &generator)
            case .search: SearchTasks(vocabulary: vocabulary).turn(level: level, chosen, &generator)
            default: WritingTasks(vocabulary: vocabulary).turn(level: level, chosen, &generator)
            }
        return (turn, chosen.question)
    }

    /// The most tokens of a turn, markers included; of one with tools what they need not fit into.
    private static func longestTurn(_ kind: TaskKind, level: Int) -> Int {
        switch kind {
        case .programs: ProgramTasks.longestTurn[level - 1]
        case .steps: StepTasks.longestTurn(level: level)
        case .logic: LogicTasks.longestTurn(level: level)
        case .ordering: OrderingTasks.longestTurn(level: level)
        default: WritingTasks.longestTurn(level: level)
        }
    }
}

/// A question, what can be thought about it, and its answer, in pieces of one token each.
struct Turn {
    let question: [String]
    /// What leads to the answer; nil where it is given without thinking.
    var thinking: [String]?
    /// Turns of calls before the answer; the environment replies to each.
    var calls: [[String]] = []
    let answer: [String]
    var needles: [Range<Int>] = []
    var judge: any AnswerJudge = ExactMatch()
    var environment: (any Environment)?
}

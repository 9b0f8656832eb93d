import SparseInference

/// Tasks that grow harder with an item's length: programs, steps and ordering.
///
/// The first level comes from 64 tokens on, each further one when the length has doubled; every level up to the highest
/// occurs, so that what has been learned is not forgotten. An item is as many turns as fit.
struct LeveledTasks {
    let vocabulary: TaskVocabulary

    /// The highest level there is.
    static let levels = 4

    /// The highest level of items of a length.
    static func highestLevel(length: Int) -> Int {
        min(levels, Int.bitWidth - (length / 64).leadingZeroBitCount)
    }

    /// A conversation of at most `length` tokens.
    ///
    /// - Parameters:
    ///   - kind: `programs`, `steps` or `ordering`.
    ///   - length: at least 64.
    ///   - questions: the most turns.
    ///   - generator: makes the choices.
    /// - Returns: the conversation.
    func item(_ kind: TaskKind, length: Int, questions: Int, _ generator: inout SplitMix64) -> TaskItem {
        let highest = Self.highestLevel(length: length)
        var writer = ConversationWriter(kind, vocabulary)
        var turns = 0
        repeat {
            writer.ask(turn(kind, level: Int.random(in: 1...highest, using: &generator), &generator))
            turns += 1
        } while turns < questions
            && writer.item.tokens.count + Self.longestTurn(kind, level: highest) <= length
        return writer.item
    }

    private func turn(_ kind: TaskKind, level: Int, _ generator: inout SplitMix64) -> Turn {
        switch kind {
        case .programs: ProgramTasks(vocabulary: vocabulary).turn(level: level, &generator)
        case .steps: StepTasks().turn(level: level, &generator)
        default: OrderingTasks().turn(level: level, &generator)
        }
    }

    /// The most tokens of a turn, markers included.
    private static func longestTurn(_ kind: TaskKind, level: Int) -> Int {
        switch kind {
        case .programs: ProgramTasks.longestTurn[level - 1]
        case .steps: StepTasks.longestTurn(level: level)
        default: OrderingTasks.longestTurn(level: level)
        }
    }
}

/// A question, what can be thought about it, and its answer, in pieces of one token each.
struct Turn {
    let question: [String]
    /// What leads to the answer; nil where it is given without thinking.
    var thinking: [String]?
    let answer: [String]
    var needles: [Range<Int>] = []
    var judge: any AnswerJudge = ExactMatch()
}

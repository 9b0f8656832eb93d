import SparseInference

/// Tasks of one line each; an item is as many of them as fit.
struct SmallTasks {
    let vocabulary: TaskVocabulary

    /// The most tokens of a turn, markers included.
    private static let longestTurn = 32

    /// A conversation of at most `length` tokens.
    ///
    /// - Parameters:
    ///   - kind: `copy`, `arithmetic` or `brackets`.
    ///   - length: at least 64.
    ///   - questions: the most turns.
    ///   - generator: makes the choices.
    /// - Returns: the conversation.
    func item(_ kind: TaskKind, length: Int, questions: Int, _ generator: inout SplitMix64) -> TaskItem {
        var writer = ConversationWriter(kind, vocabulary)
        var turns = 0
        repeat {
            let (question, answer) = turn(kind, &generator)
            writer.ask(question, answer: answer)
            turns += 1
        } while turns < questions && writer.item.tokens.count + Self.longestTurn <= length
        return writer.item
    }

    private func turn(_ kind: TaskKind, _ generator: inout SplitMix64) -> (
        question: [String], answer: [String]
    ) {
        switch kind {
        case .copy: copy(&generator)
        case .arithmetic: arithmetic(&generator)
        default: brackets(&generator)
        }
    }

    /// *Copy key lamp bell, but put drum for lamp.*
    private func copy(_ generator: inout SplitMix64) -> (question: [String], answer: [String]) {
        let words = WordList.things.shuffled(using: &generator).prefix(
            Int.random(in: 3...8, using: &generator) + 1
        )
        let (new, list) = (" " + words[0], words.dropFirst().map { " " + $0 })
        let changed = Int.random(in: 0..<list.count, using: &generator)
        var answer = list
        answer[changed] = new
        return (
            ["Copy"] + list + [",", " but", " put", new, " for", list[changed], "."], answer + ["."]
        )
    }

    /// *What is 41+17?*, with results from 0 to 99.
    private func arithmetic(_ generator: inout SplitMix64) -> (question: [String], answer: [String]) {
        let sum = Int.random(in: 0...99, using: &generator)
        let part = Int.random(in: 0...sum, using: &generator)
        let isSum = Bool.random(using: &generator)
        let (left, sign, right, result) =
            isSum ? (part, "+", sum - part, sum) : (sum, "-", part, sum - part)
        return (["What", " is", " ", "\(left)", sign, "\(right)", "?"], ["\(result)", "."])
    }

    /// *([{* is answered *}])*.
    private func brackets(_ generator: inout SplitMix64) -> (question: [String], answer: [String]) {
        let pairs = [("(", ")"), ("[", "]"), ("{", "}")]
        var (question, open) = ([String](), [String]())
        for _ in 0..<Int.random(in: 3...12, using: &generator) {
            if let last = open.last, Int.random(in: 0..<3, using: &generator) == 0 {
                question.append(last)
                open.removeLast()
            } else {
                let pair = pairs.pick(&generator)
                question.append(pair.0)
                open.append(pair.1)
            }
        }
        return (question, open.reversed() + ["."])
    }
}

/// What an answer has to do, item by item, each of its own weight.
///
/// Source: V3.2 report, "Mixed RL Training": each prompt has a rubric of its own.
struct Rubric: Sendable {
    /// A criterion with its weight.
    struct Item: Sendable {
        let criterion: Criterion
        let weight: Float

        init(_ criterion: Criterion, weight: Float) {
            self.criterion = criterion
            self.weight = weight
        }
    }

    /// The items, at least one of a weight above 0.
    let items: [Item]

    init(_ items: [Item]) {
        precondition(items.contains { $0.weight > 0 }, "a rubric that asks for nothing")
        self.items = items
    }

    /// How far an answer fulfils the rubric.
    ///
    /// - Parameters:
    ///   - answer: its tokens, an end token included if it came to one.
    ///   - grader: grades each item.
    /// - Returns: the mean of the grades by weight, 0 … 1.
    /// - Throws: what the grader throws.
    func score(of answer: [Int], by grader: any Grader) throws -> Float {
        var (sum, weights) = (Float(0), Float(0))
        for item in items {
            sum += item.weight * (try grader.grade(answer, item.criterion))
            weights += item.weight
        }
        return sum / weights
    }
}

/// Something an answer can do or leave undone.
enum Criterion: Sendable {
    /// It names something, by one of some tokens.
    case names(String, Set<Int>)
    /// It does not.
    case avoids(String, Set<Int>)
    /// It has so many sentences; a token ends each.
    case hasSentences(Int, stop: Int)
    /// No sentence comes twice.
    case repeatsNone(stop: Int)
    /// It comes to its end, and that behind a whole sentence.
    case ends(stop: Int, end: Int)

    /// The criterion in words, for a model that judges.
    var question: String {
        switch self {
        case .names(let word, _): "names \(word)?"
        case .avoids(let word, _): "avoids \(word)?"
        case .hasSentences(let count, _): "has \(count) sentences?"
        case .repeatsNone: "repeats no sentence?"
        case .ends: "ends?"
        }
    }
}

/// The weighted grades of the last turn.
struct RubricJudge: AnswerJudge {
    let rubric: Rubric
    let grader: any Grader

    init(_ rubric: Rubric, grader: any Grader) {
        self.rubric = rubric
        self.grader = grader
    }

    /// 0 … 1; an answer that cannot be graded is worth nothing.
    func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
        (try? rubric.score(of: turns.last ?? [], by: grader)) ?? 0
    }
}

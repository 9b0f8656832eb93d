import SparseInference

/// Arithmetic in several steps, worked out one by one.
///
/// *What is 7+6-9?* is asked, the thinking is *first 7+6=13, then 13-9=4*, or with checks *first 7+6=13, check 13-6=7, then
/// 13-9=4, check 4+9=13*, the answer *4.*, which alone is judged. Every second demonstration checks: a length penalty has
/// something to save.
///
/// | level | operations | numbers | terms |
/// | --- | --- | --- | --- |
/// | 1 | 2 | 0 to 20 | 1 to 9, added or taken away |
/// | 2 | 3 | 0 to 50 | the same |
/// | 3 | 4 | 0 to 99 | any; a product may come first |
/// | 4 | 5 | the same | |
///
/// All numbers on the way are 0 to 99, one token each; from left to right is the usual order.
struct StepTasks {
    /// The operations of a level.
    private static func operations(level: Int) -> Int { level + 1 }
    /// The largest number of a level.
    private static func largest(level: Int) -> Int { [20, 50, 99, 99][level - 1] }
    /// The largest term of a level that is added or taken away.
    private static func largestTerm(level: Int) -> Int { level < 3 ? 9 : 99 }

    /// The most tokens of a turn, markers included.
    static func longestTurn(level: Int) -> Int { 11 + 18 * operations(level: level) }

    /// One operation with its result.
    private struct Step {
        let left: Int
        let sign: String
        let right: Int
        let result: Int

        var pieces: [String] { [" ", "\(left)", sign, "\(right)", "=", "\(result)"] }

        /// What undoes it; of a product, the product the other way round.
        var check: [String] {
            switch sign {
            case "+": Step(left: result, sign: "-", right: right, result: left).pieces
            case "-": Step(left: result, sign: "+", right: right, result: left).pieces
            default: Step(left: right, sign: sign, right: left, result: result).pieces
            }
        }
    }

    /// A question of a level with its worked steps and answer.
    ///
    /// - Parameters:
    ///   - level: 1 to 4.
    ///   - languages: of question and thinking.
    ///   - generator: makes the choices.
    /// - Returns: the turn.
    func turn(level: Int, _ languages: (question: Language, answer: Language), _ generator: inout SplitMix64)
        -> Turn
    {
        let steps = Self.steps(level: level, &generator)
        let isChecked = Bool.random(using: &generator)
        let language = languages.answer
        let thinking = steps.enumerated().flatMap { index, step -> [String] in
            let own = [index == 0 ? language.first : language.then] + step.pieces + [","]
            return isChecked ? own + [language.check] + step.check + [","] : own
        }
        let (first, last) = (steps[0], steps[steps.count - 1])
        return Turn(
            question: languages.question.whatIs + [" ", "\(first.left)"]
                + steps.flatMap { [$0.sign, "\($0.right)"] } + ["?"],
            thinking: thinking.dropLast(),
            answer: ["\(last.result)", "."],
            judge: FinalAnswer()
        )
    }

    private static func steps(level: Int, _ generator: inout SplitMix64) -> [Step] {
        let (most, term) = (largest(level: level), largestTerm(level: level))
        var value = Int.random(in: 0...most, using: &generator)
        var steps: [Step] = []
        func add(_ sign: String, _ right: Int, _ result: Int) {
            steps.append(Step(left: value, sign: sign, right: right, result: result))
            value = result
        }
        if level > 2, Bool.random(using: &generator) {
            value = Int.random(in: 2...9, using: &generator)
            let factor = Int.random(in: 2...9, using: &generator)
            add("*", factor, value * factor)
        }
        while steps.count < operations(level: level) {
            if value == 0 || (value < most && Bool.random(using: &generator)) {
                let addend = Int.random(in: 1...min(term, most - value), using: &generator)
                add("+", addend, value + addend)
            } else {
                let part = Int.random(in: 1...min(term, value), using: &generator)
                add("-", part, value - part)
            }
        }
        return steps
    }
}

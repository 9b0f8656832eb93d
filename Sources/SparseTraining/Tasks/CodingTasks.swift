import SparseInference

/// A program of the stack machine that does not pass its test, to be mended with the tools of ``CodeWorkspace``.
///
/// *Fix ?4+!: 3>8,20>25.* gives the file and two tests. The demonstration runs them, edits, runs them again, and says *Done.* What
/// the file is in the end counts, by the share of hidden tests it passes; an answer that never comes to its end counts nothing.
///
/// | level | what is wrong |
/// | --- | --- |
/// | 1 | the number that is added |
/// | 2 | the number that is added, taken away or multiplied by |
/// | 3 | the operation, or a number |
/// | 4 | a number of two operations |
struct CodingTasks {
    let vocabulary: TaskVocabulary

    /// A program as it should be, and what is to be exchanged in it for it to be wrong.
    private struct Defect {
        let right: String
        let old: String
        let new: String
    }

    /// A question of a level, with a demonstration.
    ///
    /// - Parameters:
    ///   - level: 1 to 4.
    ///   - languages: of question and answer.
    ///   - generator: makes the choices.
    /// - Returns: the turn.
    func turn(level: Int, _ languages: (question: Language, answer: Language), _ generator: inout SplitMix64)
        -> Turn
    {
        while true {
            let defect = Self.defect(level: level, &generator)
            let inputs = (level == 1 ? 0...40 : 2...10).shuffled(using: &generator).prefix(8)
            guard let turn = turn(defect, Array(inputs), languages) else { continue }
            return turn
        }
    }

    /// The turn of a defect; nil where its test would not show it, or the edit is not the only one.
    private func turn(
        _ defect: Defect,
        _ inputs: [Int],
        _ languages: (question: Language, answer: Language)
    ) -> Turn? {
        guard defect.right.ranges(of: defect.old).count == 1 else { return nil }
        let wrong = defect.right.replacing(defect.old, with: defect.new)
        guard wrong.ranges(of: defect.new).count == 1, let pieces = try? StackProgram(wrong).pieces,
            let tests = Self.tests(of: defect.right, inputs)
        else { return nil }
        let (shown, hidden) = (Array(tests[..<2]), ProgramTests(Array(tests[2...]), vocabulary: vocabulary))
        var workspace = CodeWorkspace(program: wrong, tests: shown)
        let environment = ToolEnvironment(workspace, vocabulary: vocabulary)
        guard let test = try? ToolCall(name: "test", arguments: "{}"), workspace.call(test) != "pass" else {
            return nil
        }
        return Turn(
            question: [languages.question.fix, " "] + pieces + [":", " "]
                + shown.map { ["\($0.input[0])", ">", "\($0.output[0])"] }.joined(separator: [","]) + ["."],
            calls: [
                [ToolMarkup.test],
                [ToolMarkup.edit, defect.new, ToolMarkup.new, defect.old, ToolMarkup.end],
                [ToolMarkup.test],
            ],
            answer: languages.answer.done,
            judge: MendedProgram(environment: environment, tests: hidden),
            environment: environment
        )
    }

    /// What the right program writes; nil where a number is more than one token.
    private static func tests(of program: String, _ inputs: [Int]) -> [ProgramTests.Test]? {
        guard let program = try? StackProgram(program) else { return nil }
        let tests = inputs.compactMap { input -> ProgramTests.Test? in
            guard case .finished(let output) = StackMachine().run(program, input: [input]),
                output.allSatisfy(StackProgram.numbers.contains)
            else { return nil }
            return ProgramTests.Test(input: [input], output: output)
        }
        return tests.count == inputs.count ? tests : nil
    }

    private static func defect(level: Int, _ generator: inout SplitMix64) -> Defect {
        let numbers = level == 1 ? 1...9 : 2...9
        let number = Int.random(in: numbers, using: &generator)
        let other = numbers.filter { $0 != number && abs($0 - number) <= 3 }.pick(&generator)
        let operations = ["+", "-", "*"]
        switch level {
        case 1: return Defect(right: "?\(number)+!", old: "\(number)", new: "\(other)")
        case 4:
            let factor = Int.random(in: 2...5, using: &generator)
            return Defect(right: "?\(factor)*\(number)+!", old: "\(number)", new: "\(other)")
        default:
            let operation = operations.pick(&generator)
            let right = "?\(number)\(operation)!"
            guard level == 3, Bool.random(using: &generator) else {
                return Defect(right: right, old: "\(number)", new: "\(other)")
            }
            let wrong = operations.filter { $0 != operation }.pick(&generator)
            return Defect(right: right, old: operation, new: wrong)
        }
    }
}

/// The share of hidden tests that the file passes in the end.
struct MendedProgram: AnswerJudge {
    let environment: ToolEnvironment<CodeWorkspace>
    let tests: ProgramTests

    /// A multiple of 1 over the number of tests; 0 for an answer that does not come to its end.
    func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
        guard turns.last?.last == TaskVocabulary.end, environment.reply(to: turns) == nil else { return 0 }
        return tests.share(of: environment.toolbox(after: turns).program)
    }
}

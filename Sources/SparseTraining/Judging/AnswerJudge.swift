/// Tells how right an answer is, where more than one can be.
///
/// A question brings its judge along, with what that needs to know and the prompt does not show.
package protocol AnswerJudge: Sendable {
    /// Judges an answer.
    ///
    /// - Parameters:
    ///   - turns: its tokens, turn by turn, an end token included if a turn came to one; anything at all can be among them.
    ///   - expected: the turns of the answer the question comes with, end tokens included.
    /// - Returns: 0 … 1, and 1 for right answers only, that of the question among them.
    func outcome(of turns: [[Int]], expected: [[Int]]) -> Float
}

/// 1 for the very tokens that are expected.
package struct ExactMatch: AnswerJudge {
    /// A judge.
    package init() {}

    /// 1 or 0.
    package func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
        turns == expected ? 1 : 0
    }
}

/// 1 for the answer that is expected at the end of the last turn, whatever has been thought or done before.
package struct FinalAnswer: AnswerJudge {
    /// Whether the answer stands behind the end of thinking; the whole turn is the answer otherwise.
    let thinks: Bool
    /// Other right answers, each with its end token.
    let others: [[Int]]

    /// A judge.
    package init(thinks: Bool = true, others: [[Int]] = []) {
        self.thinks = thinks
        self.others = others
    }

    /// 1 or 0; an answer that never ends to think is none.
    package func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
        guard let final = final(turns) else { return 0 }
        return final == self.final(expected) || others.contains(final) ? 1 : 0
    }

    private func final(_ turns: [[Int]]) -> [Int]? {
        guard let last = turns.last else { return nil }
        guard thinks else { return last }
        return last.firstIndex(of: TaskVocabulary.endOfThinking).map { Array(last[($0 + 1)...]) }
    }
}

/// The share of hidden tests that the answer, a program of the stack machine, passes.
package struct ProgramTests: AnswerJudge {
    /// What a program is given, and what it has to write.
    package struct Test: Equatable, Sendable {
        /// The numbers it can read.
        package let input: [Int]
        /// All it has to write.
        package let output: [Int]

        /// A test.
        package init(input: [Int], output: [Int]) {
            self.input = input
            self.output = output
        }
    }

    /// The tests, at least one.
    package let tests: [Test]
    private let vocabulary: TaskVocabulary

    /// A judge.
    package init(_ tests: [Test], vocabulary: TaskVocabulary) {
        precondition(!tests.isEmpty, "an answer without tests would be neither right nor wrong")
        self.tests = tests
        self.vocabulary = vocabulary
    }

    /// A multiple of 1 over the number of tests; 0 for what is no program, or does not come to its end.
    package func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
        guard let answer = turns.last, answer.last == TaskVocabulary.end,
            let text = vocabulary.text(Array(answer.dropLast()))
        else { return 0 }
        return share(of: text)
    }

    /// The share of the tests that a program passes; 0 for what is none.
    func share(of text: String) -> Float {
        guard let program = try? StackProgram(text) else { return 0 }
        let machine = StackMachine()
        let passed = tests.count { machine.run(program, input: $0.input) == .finished($0.output) }
        return Float(passed) / Float(tests.count)
    }
}

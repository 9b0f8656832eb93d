import SparseInference

/// Programs of the stack machine to be found from examples: *1>5,2>7,4>11* is answered *?2\*3+!*.
///
/// | level | rules | examples shown |
/// | --- | --- | --- |
/// | 1 | one operation, with a number or the input itself | 3 |
/// | 2 | two operations | 3 |
/// | 3 | two inputs, up to two operations | 4, the corners of a rectangle |
/// | 4 | a loop: counting down, powers, a rule for small numbers only | 3 or 4 |
///
/// Rules of the first two levels are polynomials of degree 2 at most, which three examples settle; those of the third
/// are `a + bx + cy + dxy`, settled by four corners. Four powers lie on no such polynomial. A rule for numbers below a
/// bound is shown on both sides of it. So there is one rule to be found, and any program for it is right.
struct ProgramTasks {
    /// A way to turn inputs into outputs.
    struct Rule {
        /// A program for it, as text.
        let program: String
        /// Inputs that settle it.
        let shown: [[Int]]
        /// Further inputs.
        let hidden: [[Int]]
    }

    let vocabulary: TaskVocabulary

    /// The most tokens of a turn at each level, markers included.
    static let longestTurn = [24, 28, 36, 48]

    /// A question of a level, its answer, and its judge.
    func turn(level: Int, _ generator: inout SplitMix64) -> Turn {
        while true {
            guard let turn = turn(Self.rule(level: level, &generator)) else { continue }
            return turn
        }
    }

    /// The turn of a rule; nil when an example shows a number that is more than one token, or the rule changes nothing.
    private func turn(_ rule: Rule) -> Turn? {
        guard let program = try? StackProgram(rule.program) else {
            preconditionFailure("a rule's own program is none: \(rule.program)")
        }
        func test(_ input: [Int]) -> ProgramTests.Test {
            guard case .finished(let output) = StackMachine().run(program, input: input) else {
                preconditionFailure("a rule's own program fails: \(program.text) for \(input)")
            }
            return ProgramTests.Test(input: input, output: output)
        }
        let (examples, tests) = (rule.shown.map(test), rule.hidden.map(test))
        // Such as 3 added and taken away.
        guard tests.contains(where: { $0.output != $0.input }) else { return nil }
        guard examples.allSatisfy({ $0.output.allSatisfy(StackProgram.numbers.contains) }) else { return nil }
        let lines = examples.map { Self.spaced($0.input) + [">"] + Self.spaced($0.output) }
        return Turn(
            question: Array(lines.joined(separator: [","])),
            answer: program.pieces,
            judge: ProgramTests(tests, vocabulary: vocabulary)
        )
    }

    private static func spaced(_ numbers: [Int]) -> [String] {
        Array(numbers.map { ["\($0)"] }.joined(separator: [" "]))
    }
}

// MARK: - Rules

extension ProgramTasks {
    /// A rule of a level.
    static func rule(level: Int, _ generator: inout SplitMix64) -> Rule {
        switch level {
        case 1: single("?" + operation(&generator) + "!", &generator)
        case 2:
            // A square's square would take five examples.
            single(
                ("?" + operation(&generator) + operation(&generator) + "!")
                    .replacing(":*:*", with: ":*:+"),
                &generator
            )
        case 3: pair(&generator)
        default:
            switch Int.random(in: 0..<3, using: &generator) {
            case 0: countdown(&generator)
            case 1: power(&generator)
            default: smallNumbers(&generator)
            }
        }
    }

    /// Something done to the number on top; now and then with itself.
    private static func operation(_ generator: inout SplitMix64) -> String {
        switch Int.random(in: 0..<8, using: &generator) {
        case 0: ":+"
        case 1: ":*"
        case 2, 3: "\(Int.random(in: 2...9, using: &generator))*"
        case 4, 5: "\(Int.random(in: 1...20, using: &generator))-"
        default: "\(Int.random(in: 1...20, using: &generator))+"
        }
    }

    /// A rule for one number: three inputs shown, in any order.
    private static func single(_ program: String, _ generator: inout SplitMix64) -> Rule {
        let inputs = (0...24).shuffled(using: &generator).map { [$0] }
        return Rule(program: program, shown: Array(inputs[..<3]), hidden: Array(inputs[3..<11]))
    }

    /// A rule for two numbers.
    private static func pair(_ generator: inout SplitMix64) -> Rule {
        let first = ["+", "-", "*"].pick(&generator)
        let number = Int.random(in: 2...9, using: &generator)
        let second = ["", "\(number)+", "\(number)-", "\(number)*"].pick(&generator)
        let rows = (0...12).shuffled(using: &generator)
        let columns = (0...12).shuffled(using: &generator)
        return Rule(
            program: "??" + first + second + "!",
            shown: [
                [rows[0], columns[0]], [rows[0], columns[1]], [rows[1], columns[0]], [rows[1], columns[1]],
            ],
            hidden: (2..<10).map { [rows[$0], columns[$0]] }
        )
    }

    /// All numbers from the input, or a little more, down to 1.
    private static func countdown(_ generator: inout SplitMix64) -> Rule {
        let addend = Int.random(in: 0...2, using: &generator)
        return Rule(
            program: "?" + (addend == 0 ? "" : "\(addend)+") + ":[:!1-:]",
            shown: [[1], [2], [3]].shuffled(using: &generator),
            hidden: [[0], [4], [5], [6], [7], [8]]
        )
    }

    /// A number to the power of the input, times another.
    private static func power(_ generator: inout SplitMix64) -> Rule {
        let (base, factor) = [(2, 1), (2, 2), (2, 3), (2, 5), (3, 1), (3, 2), (3, 3)].pick(&generator)
        return Rule(
            program: "?\(factor)~:[~\(base)*~1-:]_!",
            shown: [[0], [1], [2], [3]].shuffled(using: &generator),
            hidden: [[4], [5], [6], [7]]
        )
    }

    /// Something done to numbers below a bound; others stay as they are.
    private static func smallNumbers(_ generator: inout SplitMix64) -> Rule {
        let bound = Int.random(in: 4...20, using: &generator)
        let change = "\(Int.random(in: 1...20, using: &generator))+"
        return Rule(
            program: "?:\(bound)<[\(change)0]!",
            shown: (bound - 2...bound + 1).map { [$0] }.shuffled(using: &generator),
            hidden: [[0], [bound - 3], [bound + 2], [bound + 7], [bound + 20]]
        )
    }
}

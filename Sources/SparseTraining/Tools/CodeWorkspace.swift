package import SparseInference

/// A file with a program of the stack machine, and tests that it has to pass.
///
/// | tool | arguments | result |
/// | --- | --- | --- |
/// | `edit` | `old`, `new` | replaces the text `old`, which has to be there once: `ok`, or `not once` |
/// | `test` | | `pass`, or of the first test that fails *3>7 not 8*: for input 3 it writes 7, not 8 |
///
/// The program runs in ``StackMachine``, so whatever it is made into, a test ends, and soon. One that cannot run gives
/// *3> not 8*.
package struct CodeWorkspace: Toolbox {
    /// The file.
    package private(set) var program: String
    private let tests: [ProgramTests.Test]

    /// The most bytes of the file: no edit makes it longer.
    private static let longest = 1024

    /// A workspace.
    ///
    /// - Parameters:
    ///   - program: the file.
    ///   - tests: those that `test` runs, at least one.
    package init(program: String, tests: [ProgramTests.Test]) {
        precondition(!tests.isEmpty, "nothing would tell what the program has to do")
        self.program = program
        self.tests = tests
    }

    /// Carries out a call.
    package mutating func call(_ call: ToolCall) -> String {
        switch call.name {
        case "edit":
            guard let texts = call.strings("old", "new") else { return ToolFault.badCall }
            return edit(texts[0], texts[1])
        case "test":
            return call.strings() == nil ? ToolFault.badCall : test()
        default: return ToolFault.badCall
        }
    }

    private mutating func edit(_ old: String, _ new: String) -> String {
        // A second place may overlap the first, as that of :: in ::: does.
        guard !old.isEmpty, let place = program.firstRange(of: old),
            !program[program.index(after: place.lowerBound)...].contains(old)
        else { return "not once" }
        let edited = String(program[..<place.lowerBound]) + new + program[place.upperBound...]
        guard edited.utf8.count <= Self.longest else { return ToolFault.tooLong }
        program = edited
        return "ok"
    }

    private func test() -> String {
        for test in tests {
            let output = self.output(of: test)
            if output != test.output {
                let given = Self.text(test.input) + ">" + Self.text(output ?? [])
                return given + " not " + Self.text(test.output)
            }
        }
        return "pass"
    }

    /// What the program writes; nil where it is none, or does not come to its end.
    private func output(of test: ProgramTests.Test) -> [Int]? {
        guard let program = try? StackProgram(program),
            case .finished(let output) = StackMachine().run(program, input: test.input)
        else { return nil }
        return output
    }

    private static func text(_ numbers: [Int]) -> String { numbers.map(String.init).joined(separator: " ") }
}

import SparseInference
import XCTest

@testable import SparseTraining

/// What programs do, and what happens to those that mean no good.
final class StackMachineTests: XCTestCase {
    private func run(
        _ text: String,
        _ input: [Int] = [],
        on machine: StackMachine = StackMachine()
    ) throws -> StackMachine.Outcome {
        machine.run(try StackProgram(text), input: input)
    }

    func testInstructionsDoWhatTheTableSays() throws {
        let cases: [(text: String, input: [Int], output: [Int])] = [
            ("", [], []), ("7!", [], [7]), ("99 0!!", [], [0, 99]), ("?2*3+!", [5], [13]),
            ("??-!", [3, 10], [-7]), ("??<!", [3, 10], [1]), ("??<!", [3, 3], [0]), ("??=!", [3, 3], [1]),
            ("4:!!", [], [4, 4]), ("1 2~!!", [], [1, 2]), ("1 2^!!!", [], [1, 2, 1]), ("1 2_!", [], [1]),
            ("1!;2!", [], [1]), ("0[1!]2!", [], [2]), ("1[3!0]", [], [3]), ("?:[:!1-:]", [3], [3, 2, 1]),
            ("?1~:[~2*~1-:]_!", [5], [32]), ("2[1[5!0]0]", [], [5]),
        ]
        for each in cases {
            XCTAssertEqual(try run(each.text, each.input), .finished(each.output), each.text)
        }
    }

    func testEveryInstructionIsOneToken() {
        let vocabulary = TaskVocabulary()
        for operation in StackProgram.Operation.allCases { _ = vocabulary.id(operation.rawValue) }
        for number in StackProgram.numbers { _ = vocabulary.id("\(number)") }
    }

    func testProgramsReadAsTheyAreWritten() throws {
        for text in ["", "1 2+", "?2*3+!", "10 9 8_", "1[[0]0]"] {
            XCTAssertEqual(try StackProgram(text).text, text)
        }
        XCTAssertEqual(try StackProgram(" 07  +  "), try StackProgram("7+"))
        XCTAssertEqual(try StackProgram("1 2+").pieces, ["1", " ", "2", "+"])
    }

    func testWhatIsNoProgramIsRefused() {
        let long = String(repeating: "+", count: StackProgram.longest)
        let cases: [(text: String, instruction: Int, found: String, StackProgramFault.Expectation)] = [
            ("1 2 x", 2, "x", .instruction), ("1\n", 1, "\n", .instruction), ("é", 0, "é", .instruction),
            ("+100", 1, "100", .number), ("+1234567", 1, "123", .number), ("1]", 1, "]", .openLoop),
            ("1[0[1]", 1, "[", .loopEnd), (long + "-", StackProgram.longest, "-", .end),
            (long + "12", StackProgram.longest, "12", .end),
        ]
        for (text, instruction, found, expected) in cases {
            XCTAssertThrowsError(try StackProgram(text), text) { error in
                let fault = StackProgramFault(instruction: instruction, found: found, expected: expected)
                XCTAssertEqual(error as? StackProgramFault, fault)
                XCTAssertTrue("\(error)".hasPrefix("instruction \(instruction) is \"\(found)\", expected "))
            }
        }
        XCTAssertNoThrow(try StackProgram(long))
    }

    func testHostileProgramsEndAsValues() throws {
        let cases: [(text: String, StackMachine.Fault, instruction: Int)] = [
            ("1[1]", .stepsExhausted, 1), ("1[1:]", .stackOverflow, 3), ("1[7!1]", .outputOverflow, 3),
            ("9:[:*:]", .arithmeticOverflow, 4), ("+", .stackUnderflow(needed: 2, found: 0), 0),
            ("1~", .stackUnderflow(needed: 2, found: 1), 1), ("1^", .stackUnderflow(needed: 2, found: 1), 1),
            (":", .stackUnderflow(needed: 1, found: 0), 0), ("[]", .stackUnderflow(needed: 1, found: 0), 0),
            ("!", .stackUnderflow(needed: 1, found: 0), 0), ("?", .inputExhausted, 0),
            ("1!_", .stackUnderflow(needed: 1, found: 0), 2),
        ]
        for (text, fault, instruction) in cases {
            let outcome = try run(text, on: StackMachine(steps: 100, depth: 8, outputs: 4))
            XCTAssertEqual(outcome, .failed(fault, instruction: instruction), text)
        }
        XCTAssertEqual(
            try run("??-", [.min, 1]),
            .failed(.arithmeticOverflow, instruction: 2),
            "numbers of the input may be any"
        )
        XCTAssertEqual(try run("", on: StackMachine(steps: 0)), .finished([]))
    }

    func testRandomProgramsEnd() throws {
        let machine = StackMachine(steps: 200, depth: 8, outputs: 4)
        let letters = StackProgram.Operation.allCases.map(\.rawValue) + ["0", "1", "9", " "]
        var generator = SplitMix64(state: 3)
        var ends = 0
        for _ in 0..<500 {
            let text = (0..<12).map { _ in letters.pick(&generator) }.joined()
            guard let program = try? StackProgram(text) else { continue }
            XCTAssertEqual(try StackProgram(program.text), program)
            if case .finished(let output) = machine.run(program, input: [1, 2, 3]) {
                XCTAssertLessThanOrEqual(output.count, 4)
                ends += 1
            }
        }
        XCTAssertGreaterThan(ends, 0)
    }
}

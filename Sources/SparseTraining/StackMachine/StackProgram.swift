/// A program of the stack machine: a short list of instructions, each one token of text.
///
/// | text | what it does | stack before → after |
/// | --- | --- | --- |
/// | `0` … `99` | pushes the number | → n |
/// | `+` `-` `*` | adds, subtracts, multiplies | a b → a + b |
/// | `<` `=` | compares: 1 if it is so, else 0 | a b → a < b |
/// | `:` | duplicates | a → a a |
/// | `~` | swaps | a b → b a |
/// | `^` | copies the second over the first | a b → a b a |
/// | `_` | drops | a → |
/// | `[` | goes on behind its `]` if the number is 0 | a → |
/// | `]` | goes back to its `[` | |
/// | `?` | reads the next number of the input | → n |
/// | `!` | writes a number to the output | a → |
/// | `;` | halts | |
///
/// So `?2*3+!` writes twice the input and 3, and `?:[:!1-:]` counts down from it. Spaces between instructions mean nothing, but
/// keep two numbers apart.
package struct StackProgram: Equatable, Sendable {
    /// One step of a program.
    package enum Instruction: Equatable, Sendable {
        /// Pushes a number.
        case push(Int)
        /// Does something to what is on the stack.
        case apply(Operation)

        /// The instruction as text.
        package var text: String {
            switch self {
            case .push(let number): "\(number)"
            case .apply(let operation): operation.rawValue
            }
        }
    }

    /// An instruction without a number, named by its text.
    package enum Operation: String, CaseIterable, Sendable {
        /// Replaces two numbers by their sum.
        case add = "+"
        /// Replaces two numbers by the first less the second.
        case subtract = "-"
        /// Replaces two numbers by their product.
        case multiply = "*"
        /// Replaces two numbers by 1 if the first is less, else by 0.
        case less = "<"
        /// Replaces two numbers by 1 if they are equal, else by 0.
        case equal = "="
        /// Pushes the number on top again.
        case duplicate = ":"
        /// Exchanges the two numbers on top.
        case swap = "~"
        /// Pushes the number below the top again.
        case over = "^"
        /// Takes a number away.
        case drop = "_"
        /// Takes a number, and leaves the loop if it is 0.
        case loopBegin = "["
        /// Goes back to the beginning of the loop.
        case loopEnd = "]"
        /// Pushes the next number of the input.
        case read = "?"
        /// Takes a number and adds it to the output.
        case write = "!"
        /// Ends the program.
        case halt = ";"
    }

    /// The numbers that can be pushed: those that are one token.
    package static let numbers = 0...99
    /// The most instructions of a program.
    package static let longest = 256

    /// The instructions.
    package let instructions: [Instruction]
    /// For each instruction of a loop's beginning or end the index of the other; for any other its own.
    let partners: [Int]

    /// Reads a program.
    ///
    /// - Parameter text: as in the table; nothing at all is a program, too.
    /// - Throws: `StackProgramFault`, which tells the first instruction that cannot be.
    package init(_ text: String) throws(StackProgramFault) {
        var reader = Reader()
        for character in text.unicodeScalars {
            try reader.take(character)
        }
        try reader.finish()
        instructions = reader.instructions
        partners = reader.partners
    }

    /// The program as text, with spaces only where two numbers would become one.
    package var text: String { pieces.joined() }

    /// The pieces of the text, each of them one token.
    package var pieces: [String] {
        var pieces: [String] = []
        var endsInNumber = false
        for instruction in instructions {
            var isNumber = false
            if case .push = instruction { isNumber = true }
            if endsInNumber && isNumber { pieces.append(" ") }
            pieces.append(instruction.text)
            endsInNumber = isNumber
        }
        return pieces
    }
}

/// Why a text is not a program.
package struct StackProgramFault: Error, Equatable, Sendable {
    /// What could have been there instead.
    package enum Expectation: Equatable, Sendable {
        /// A number or an operation.
        case instruction
        /// A number of one or two digits.
        case number
        /// No end of a loop, for none has begun.
        case openLoop
        /// An end of the loop.
        case loopEnd
        /// Nothing: the program is as long as can be.
        case end
    }

    /// The index of the instruction.
    package let instruction: Int
    /// Its text.
    package let found: String
    /// What was expected.
    package let expected: Expectation
}

extension StackProgramFault: CustomStringConvertible {
    /// The fault in words.
    package var description: String {
        let expectation =
            switch expected {
            case .instruction:
                "a number or one of " + StackProgram.Operation.allCases.map(\.rawValue).joined(separator: " ")
            case .number: "\(StackProgram.numbers.lowerBound) to \(StackProgram.numbers.upperBound)"
            case .openLoop: "a [ before it"
            case .loopEnd: "a ] after it"
            case .end: "at most \(StackProgram.longest) instructions"
            }
        return "instruction \(instruction) is \"\(found)\", expected \(expectation)"
    }
}

// MARK: - Reading

extension StackProgram {
    /// A program as far as it has been read.
    private struct Reader {
        var instructions: [Instruction] = []
        var partners: [Int] = []
        private var digits = ""
        private var loops: [Int] = []  // indices of beginnings whose ends are still to come

        mutating func take(_ character: Unicode.Scalar) throws(StackProgramFault) {
            if ("0"..."9").contains(character) {
                digits.unicodeScalars.append(character)
                // At once, so that a number of a million digits costs no more than one of three.
                guard digits.utf8.count <= 2 else { throw fault(digits, .number) }
                return
            }
            try finishNumber()
            guard character != " " else { return }
            guard let operation = Operation(rawValue: String(character)) else {
                throw fault(String(character), .instruction)
            }
            var partner = instructions.count
            if operation == .loopBegin { loops.append(partner) }
            if operation == .loopEnd {
                guard let begin = loops.popLast() else { throw fault(operation.rawValue, .openLoop) }
                partners[begin] = partner
                partner = begin
            }
            try append(.apply(operation), partner: partner)
        }

        mutating func finish() throws(StackProgramFault) {
            try finishNumber()
            guard let begin = loops.last else { return }
            throw StackProgramFault(
                instruction: begin,
                found: Operation.loopBegin.rawValue,
                expected: .loopEnd
            )
        }

        private mutating func finishNumber() throws(StackProgramFault) {
            guard let number = Int(digits) else { return }
            digits = ""
            try append(.push(number), partner: instructions.count)
        }

        private mutating func append(
            _ instruction: Instruction,
            partner: Int
        ) throws(StackProgramFault) {
            guard instructions.count < StackProgram.longest else { throw fault(instruction.text, .end) }
            instructions.append(instruction)
            partners.append(partner)
        }

        private func fault(
            _ found: String,
            _ expected: StackProgramFault.Expectation
        ) -> StackProgramFault {
            StackProgramFault(instruction: instructions.count, found: found, expected: expected)
        }
    }
}

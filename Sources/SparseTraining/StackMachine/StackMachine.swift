/// Runs programs nobody has looked at: whatever a program does, the run ends, and soon.
///
/// Steps, stack and output are limited, arithmetic that leaves 64 bits ends the run, and the outcome is a value.
package struct StackMachine: Equatable, Sendable {
    /// The most instructions a run carries out.
    package var steps: Int
    /// The most numbers on the stack.
    package var depth: Int
    /// The most numbers of the output.
    package var outputs: Int

    /// A machine; the usual limits are far beyond what the programs of tasks need.
    package init(steps: Int = 1000, depth: Int = 32, outputs: Int = 16) {
        self.steps = steps
        self.depth = depth
        self.outputs = outputs
    }

    /// How a run ended.
    package enum Outcome: Equatable, Sendable {
        /// At the program's end or at a halt, with what was written.
        case finished([Int])
        /// At an instruction that could not be carried out.
        case failed(Fault, instruction: Int)
    }

    /// Why an instruction could not be carried out.
    package enum Fault: Equatable, Sendable {
        /// It takes more numbers than the stack holds.
        case stackUnderflow(needed: Int, found: Int)
        /// The stack is full.
        case stackOverflow
        /// The input has been read to its end.
        case inputExhausted
        /// The output is full.
        case outputOverflow
        /// The result is no number of 64 bits.
        case arithmeticOverflow
        /// The run has taken as many steps as it may.
        case stepsExhausted
    }

    /// Runs a program.
    ///
    /// - Parameters:
    ///   - program: what to do.
    ///   - input: the numbers it can read.
    /// - Returns: the output, or why there is none.
    /// - Complexity: O(`steps`).
    package func run(_ program: StackProgram, input: [Int]) -> Outcome {
        var run = Run(machine: self, input: input[...])
        var left = steps
        while run.next < program.instructions.count {
            let current = run.next
            guard left > 0 else { return .failed(.stepsExhausted, instruction: current) }
            left -= 1
            do throws(Stop) {
                try run.step(program)
            } catch {
                switch error {
                case .halt: return .finished(run.output)
                case .fault(let fault): return .failed(fault, instruction: current)
                }
            }
        }
        return .finished(run.output)
    }
}

// MARK: - Steps

extension StackMachine {
    /// Why a run does not go on.
    private enum Stop: Error {
        case halt
        case fault(Fault)
    }

    /// A program under way.
    private struct Run {
        let machine: StackMachine
        var input: ArraySlice<Int>
        var output: [Int] = []
        var next = 0  // the index of the instruction that is carried out next
        private var stack: [Int] = []

        init(machine: StackMachine, input: ArraySlice<Int>) {
            self.machine = machine
            self.input = input
        }

        mutating func step(_ program: StackProgram) throws(Stop) {
            let current = next
            next += 1
            switch program.instructions[current] {
            case .push(let number): try push(number)
            case .apply(.loopBegin): if try pop() == 0 { next = program.partners[current] + 1 }
            case .apply(.loopEnd): next = program.partners[current]
            case .apply(let operation): try apply(operation)
            }
        }

        private mutating func apply(_ operation: StackProgram.Operation) throws(Stop) {
            switch operation {
            case .add: try combine { $0.addingReportingOverflow($1) }
            case .subtract: try combine { $0.subtractingReportingOverflow($1) }
            case .multiply: try combine { $0.multipliedReportingOverflow(by: $1) }
            case .less: try combine { ($0 < $1 ? 1 : 0, false) }
            case .equal: try combine { ($0 == $1 ? 1 : 0, false) }
            case .duplicate:
                try require(1)
                try push(stack[stack.count - 1])
            case .swap:
                try require(2)
                stack.swapAt(stack.count - 1, stack.count - 2)
            case .over:
                try require(2)
                try push(stack[stack.count - 2])
            case .drop: _ = try pop()
            case .read:
                guard let number = input.popFirst() else { throw .fault(.inputExhausted) }
                try push(number)
            case .write:
                let number = try pop()
                guard output.count < machine.outputs else { throw .fault(.outputOverflow) }
                output.append(number)
            case .halt: throw .halt
            case .loopBegin, .loopEnd: break  // `step` knows where they lead
            }
        }

        private mutating func combine(
            _ result: (Int, Int) -> (partialValue: Int, overflow: Bool)
        ) throws(Stop) {
            try require(2)
            let (second, first) = (try pop(), try pop())
            let (value, overflow) = result(first, second)
            guard !overflow else { throw .fault(.arithmeticOverflow) }
            try push(value)
        }

        private func require(_ needed: Int) throws(Stop) {
            guard stack.count >= needed else {
                throw .fault(.stackUnderflow(needed: needed, found: stack.count))
            }
        }

        private mutating func push(_ number: Int) throws(Stop) {
            guard stack.count < machine.depth else { throw .fault(.stackOverflow) }
            stack.append(number)
        }

        private mutating func pop() throws(Stop) -> Int {
            try require(1)
            return stack.removeLast()
        }
    }
}

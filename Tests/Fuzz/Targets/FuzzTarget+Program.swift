import SparseTraining

extension FuzzTarget {
    /// Runs a program on some numbers, with tight limits and with the usual ones, and judges it.
    func runProgram(_ input: consuming Input) throws {
        let bytes = input.text()
        let numbers = input.numbers()
        // Any bytes can be an answer's tokens: they are judged, program or not.
        let judge = ProgramTests([.init(input: numbers, output: [])], vocabulary: Self.vocabulary)
        let ids = bytes.map(Int.init) + [TaskVocabulary.end]
        precondition((0...1).contains(judge.outcome(of: [ids], expected: [])))

        let program = try StackProgram(String(decoding: bytes, as: UTF8.self))
        precondition(program.instructions.count <= StackProgram.longest)
        let again = try StackProgram(program.text)
        precondition(again == program)

        let tight = StackMachine(steps: 64, depth: 4, outputs: 2).run(program, input: numbers)
        let usual = StackMachine().run(program, input: numbers)
        guard case .finished(let output) = usual else {
            // What a larger machine cannot do, a smaller one cannot either.
            if case .finished = tight { preconditionFailure("finished with tighter limits alone") }
            return
        }
        if case .finished(let less) = tight { precondition(less == output && less.count <= 2) }
        precondition(output.count <= StackMachine().outputs)
        let right = ProgramTests([.init(input: numbers, output: output)], vocabulary: Self.vocabulary)
        let answer = bytes.map { TaskVocabulary.markers.count + Int($0) } + [TaskVocabulary.end]
        precondition(right.outcome(of: [answer], expected: []) == 1)
    }

    private static let vocabulary = TaskVocabulary()
}

extension Input {
    /// All that is left as numbers of 64 bits, the first byte the highest.
    fileprivate mutating func numbers() -> [Int] {
        var numbers: [Int] = []
        while !isEmpty {
            let bits = (0..<8).reduce(UInt64(0)) { bits, _ in bits << 8 | UInt64(byte()) }
            numbers.append(Int(truncatingIfNeeded: bits))
        }
        return numbers
    }
}

import SparseInference
import SparseTraining

extension FuzzTarget {
    /// Turns of an answerer, told apart by zero bytes: as text that is read for calls, and as tokens that an environment sees.
    func runTools(_ input: consuming Input) throws {
        var turns: [[UInt8]] = []
        while !input.isEmpty, turns.count < 8 { turns.append(input.text()) }
        var workspace = Self.workspace
        var shelf = Self.shelf
        for turn in turns {
            var parser = ChatParser(ChatEncoder(.dsml))
            let text = String(decoding: turn, as: UTF8.self)
            guard (try? parser.append(text)) != nil, (try? parser.finish()) != nil else { continue }
            for call in parser.message.toolCalls {
                let results = [workspace.call(call), shelf.call(call)]
                precondition(results.allSatisfy { $0.utf8.count <= 4096 })
            }
            precondition(workspace.program.utf8.count <= 1024)
        }
        check(ToolEnvironment(Self.workspace, vocabulary: Self.words), turns)
        check(ToolEnvironment(Self.shelf, vocabulary: Self.words), turns)
    }

    /// What is replied to any tokens is the same again, and short; an answer that is over stays so.
    private func check(_ environment: some Environment, _ turns: [[UInt8]]) {
        // Letters are bytes of text; of the rest the mark-up is made, and ids that are no tokens.
        let markup = Self.words.count - 16
        let tokens = turns.map { turn in
            turn.map { Int($0) + ($0 < 128 ? TaskVocabulary.markers.count : markup - 128) }
                + [TaskVocabulary.end]
        }
        var isOver = false
        for number in tokens.indices {
            let answer = Array(tokens[...number])
            let reply = environment.reply(to: answer)
            precondition(reply == environment.reply(to: answer))
            precondition((reply?.count ?? 0) <= 8192)
            if isOver { precondition(reply == nil) }
            isOver = isOver || reply == nil
        }
    }

    private static let words = TaskVocabulary()
    private static let workspace = CodeWorkspace(
        program: "?4+!",
        tests: [.init(input: [3], output: [8]), .init(input: [10], output: [15])]
    )
    private static let shelf = DocumentShelf(sections: ["Ada is with Bruno.", "Bruno is in Oslo."])
}

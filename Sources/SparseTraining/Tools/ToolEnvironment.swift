import SparseInference

/// Replies to calls with their results, as DeepSeek-V3.2 is told them.
///
/// An answer is complete with the first turn that calls no tool, or calls one in a way that cannot be read.
package struct ToolEnvironment<Box: Toolbox>: Environment {
    /// The tools as they are before the first call.
    package let toolbox: Box
    private let vocabulary: TaskVocabulary

    /// The most turns with calls.
    static var mostTurns: Int { 16 }
    /// The most calls of a turn.
    private static var mostCalls: Int { 4 }

    /// An environment.
    package init(_ toolbox: Box, vocabulary: TaskVocabulary) {
        self.toolbox = toolbox
        self.vocabulary = vocabulary
    }

    /// The results of the last turn's calls.
    package func reply(to turns: [[Int]]) -> [Int]? {
        guard turns.count <= Self.mostTurns else { return nil }
        return replay(turns).reply
    }

    /// The tools after all calls of some turns.
    func toolbox(after turns: [[Int]]) -> Box { replay(turns).toolbox }

    /// Carries out all calls again; the reply is that to the last turn.
    private func replay(_ turns: [[Int]]) -> (toolbox: Box, reply: [Int]?) {
        var toolbox = toolbox
        var reply: [Int]?
        for turn in turns {
            guard let calls = calls(of: turn) else { return (toolbox, nil) }
            reply = vocabulary.encode(Self.text(of: calls.map { toolbox.call($0) }, to: calls))
        }
        return (toolbox, reply)
    }

    /// The calls of a turn; nil where there are none, or none that can be read.
    private func calls(of turn: [Int]) -> [ToolCall]? {
        guard turn.last == TaskVocabulary.end, let text = vocabulary.text(Array(turn.dropLast())) else {
            return nil
        }
        var parser = ChatParser(ChatEncoder(.dsml))
        guard (try? parser.append(text)) != nil, (try? parser.finish()) != nil else { return nil }
        let calls = parser.message.toolCalls
        return (1...Self.mostCalls).contains(calls.count) ? calls : nil
    }

    /// Results as text, up to where the next turn begins.
    private static func text(of results: [String], to calls: [ToolCall]) -> String {
        let before = [ChatMessage(.user, "?"), ChatMessage(.assistant, "", toolCalls: calls)]
        let told = results.map { ChatMessage(.tool, $0) }
        // Results behind the calls they belong to can always be written.
        return (try? ChatEncoder(.dsml).encode(told, after: before)) ?? ""
    }
}

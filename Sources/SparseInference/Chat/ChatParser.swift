/// Reads a model's answer while it is being written: what it thinks, what it says, which tools it calls.
///
/// Text is told as soon as it can be nothing else: the beginning of what may become a marker is held back.
public struct ChatParser {
    /// A part of an answer.
    public enum Event: Equatable, Sendable {
        /// More of what the model thinks.
        case reasoning(String)
        /// More of what it says.
        case content(String)
        /// A whole call of a tool.
        case toolCall(ToolCall)
    }

    private enum Part {
        case reasoning, content, calls, end
    }

    private let markup: any AnswerMarkup.Type
    private let tools: [ChatSchema]
    private let ends: [[UInt8]]
    private let beginsOfCalls: [[UInt8]]
    private var part: Part
    private var pending: [UInt8] = []
    /// What has been read so far.
    public private(set) var message = ChatMessage(.assistant, "")
    /// Whether the answer has come to its end; what follows is not read.
    public var isAtEnd: Bool { part == .end }

    private static let endOfThinking = Array(ChatMarker.endOfThinking.utf8)

    /// A parser for the answer to a prompt.
    ///
    /// - Parameters:
    ///   - encoder: what wrote the prompt, which tells whether the answer begins with thinking.
    ///   - tools: the tools of the conversation. GLM writes the string `3` and the number 3 alike; what the tool takes
    ///     tells them apart, and where that is not said, what is JSON is read as JSON.
    public init(_ encoder: ChatEncoder, tools: [ChatSchema] = []) {
        markup = encoder.format.markup
        self.tools = tools
        ends = markup.ends.map { Array($0.utf8) }
        beginsOfCalls = markup.beginsOfCalls.map { Array($0.utf8) }
        part = encoder.mode == .thinking ? .reasoning : .content
    }

    /// Reads more of the answer.
    ///
    /// - Parameter text: what was written since the last call.
    /// - Returns: what can be told now.
    /// - Throws: `ChatFault.malformedCall`, or `malformedJSON` for an argument that is none.
    public mutating func append(_ text: String) throws(ChatFault) -> [Event] {
        pending += Array(text.utf8)
        var events: [Event] = []
        while let found = try step(isFinal: false) { events += found }
        return events
    }

    /// Ends the answer.
    ///
    /// - Returns: what was held back.
    /// - Throws: `ChatFault.malformedCall` for calls that do not end.
    public mutating func finish() throws(ChatFault) -> [Event] {
        var events: [Event] = []
        while let found = try step(isFinal: true) { events += found }
        if part == .calls { throw .malformedCall("the answer ends before \(markup.endOfCalls)") }
        return events
    }

    /// Takes what can be taken; nil when there is nothing more to take.
    private mutating func step(isFinal: Bool) throws(ChatFault) -> [Event]? {
        switch part {
        case .reasoning: return reason(isFinal: isFinal)
        case .content: return speak(isFinal: isFinal)
        case .calls: return try call()
        case .end:
            pending = []
            return nil
        }
    }

    private mutating func reason(isFinal: Bool) -> [Event]? {
        let (text, marker) = take(until: [Self.endOfThinking] + ends, isFinal: isFinal)
        if let marker { part = marker == 0 ? .content : .end }
        if marker == 0 || !text.isEmpty { message.reasoning = (message.reasoning ?? "") + text }
        guard marker != nil || !text.isEmpty else { return nil }
        return text.isEmpty ? [] : [.reasoning(text)]
    }

    private mutating func speak(isFinal: Bool) -> [Event]? {
        let (text, marker) = take(until: ends + beginsOfCalls, isFinal: isFinal)
        if let marker { part = marker < ends.count ? .end : .calls }
        message.content += text
        guard marker != nil || !text.isEmpty else { return nil }
        return text.isEmpty ? [] : [.content(text)]
    }

    private mutating func call() throws(ChatFault) -> [Event]? {
        guard let next = try markup.next(in: pending[...], tools: tools) else { return nil }
        pending = Array(next.rest)
        // What ends without a call ends the answer; behind a call that stands alone the model may go on.
        if next.isLast { part = next.call == nil ? .end : .content }
        guard let call = next.call else { return [] }
        message.toolCalls.append(call)
        return [.toolCall(call)]
    }
}

// MARK: - Text

extension ChatParser {
    /// Removes text up to the first of the markers, and the marker, or as much as no marker can begin in.
    private mutating func take(until markers: [[UInt8]], isFinal: Bool) -> (text: String, marker: Int?) {
        let found = markers.enumerated()
            .compactMap { index, marker in pending.firstRange(of: marker).map { (index, $0) } }
            .min { ($0.1.lowerBound, $0.0) < ($1.1.lowerBound, $1.0) }
        if let (index, range) = found {
            let text = pending[..<range.lowerBound].text
            pending.removeFirst(range.upperBound)
            return (text, index)
        }
        let held = isFinal ? 0 : markers.map { Self.overlap(pending, $0) }.max() ?? 0
        let text = pending.dropLast(held).text
        pending.removeFirst(pending.count - held)
        return (text, nil)
    }

    /// The bytes at the end of a text that a marker begins with.
    private static func overlap(_ text: [UInt8], _ marker: [UInt8]) -> Int {
        for count in stride(from: min(text.count, marker.count - 1), to: 0, by: -1)
        where marker.starts(with: text.suffix(count)) {
            return count
        }
        return 0
    }
}

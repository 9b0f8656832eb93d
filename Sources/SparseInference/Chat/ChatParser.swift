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

    private let format: ChatEncoder.Format
    private var part: Part
    private var pending: [UInt8] = []
    /// What has been read so far.
    public private(set) var message = ChatMessage(.assistant, "")

    private static let endOfThinking = Array(ChatMarker.endOfThinking.utf8)
    private static let end = Array(ChatMarker.end.utf8)
    private static let calls = Array(DSML.beginOfCalls.utf8)
    private static let callsInParagraph = Array(("\n\n" + DSML.beginOfCalls).utf8)
    private static let endOfCalls = Array(DSML.endOfCalls.utf8)
    private static let beginOfCall = Array(DSML.beginOfCall.utf8)
    private static let endOfCall = Array(DSML.endOfCall.utf8)
    private static let beginOfParameter = Array(DSML.beginOfParameter.utf8)
    private static let endOfParameter = Array(DSML.endOfParameter.utf8)

    /// A parser for the answer to a prompt.
    ///
    /// - Parameter encoder: what wrote the prompt, which tells whether the answer begins with thinking.
    public init(_ encoder: ChatEncoder) {
        format = encoder.format
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
        if part == .calls { throw .malformedCall("the answer ends before \(DSML.endOfCalls)") }
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
        let (text, marker) = take(until: [Self.endOfThinking, Self.end], isFinal: isFinal)
        if marker == 0 { part = .content }
        if marker == 1 { part = .end }
        if marker == 0 || !text.isEmpty { message.reasoning = (message.reasoning ?? "") + text }
        guard marker != nil || !text.isEmpty else { return nil }
        return text.isEmpty ? [] : [.reasoning(text)]
    }

    private mutating func speak(isFinal: Bool) -> [Event]? {
        let markers =
            format == .dsml ? [Self.end, Self.callsInParagraph, Self.calls] : [Self.end]
        let (text, marker) = take(until: markers, isFinal: isFinal)
        if let marker { part = marker == 0 ? .end : .calls }
        message.content += text
        guard marker != nil || !text.isEmpty else { return nil }
        return text.isEmpty ? [] : [.content(text)]
    }

    private mutating func call() throws(ChatFault) -> [Event]? {
        let space = pending.prefix { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: " ") }.count
        let rest = pending[space...]
        if rest.starts(with: Self.endOfCalls) {
            pending.removeFirst(space + Self.endOfCalls.count)
            part = .end
            return []
        }
        guard let end = rest.firstRange(of: Self.endOfCall) else {
            let expected = [Self.beginOfCall, Self.endOfCalls]
            guard expected.contains(where: { rest.starts(with: $0) || $0.starts(with: rest) }) else {
                throw .malformedCall(
                    "found \"\(Self.string(rest.prefix(40)))\", expected \(DSML.beginOfCall)"
                )
            }
            return nil
        }
        let call = try Self.call(rest[..<end.lowerBound])
        pending.removeFirst(end.upperBound - pending.startIndex)
        message.toolCalls.append(call)
        return [.toolCall(call)]
    }

    // MARK: Text

    /// Removes text up to the first of the markers, and the marker, or as much as no marker can begin in.
    private mutating func take(until markers: [[UInt8]], isFinal: Bool) -> (text: String, marker: Int?) {
        let found = markers.enumerated()
            .compactMap { index, marker in pending.firstRange(of: marker).map { (index, $0) } }
            .min { ($0.1.lowerBound, $0.0) < ($1.1.lowerBound, $1.0) }
        if let (index, range) = found {
            let text = Self.string(pending[..<range.lowerBound])
            pending.removeFirst(range.upperBound)
            return (text, index)
        }
        let held = isFinal ? 0 : markers.map { Self.overlap(pending, $0) }.max() ?? 0
        let text = Self.string(pending.dropLast(held))
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

    private static func string(_ bytes: some Sequence<UInt8>) -> String {
        String(decoding: Array(bytes), as: UTF8.self)
    }

    // MARK: Calls

    /// A call without its end: `<｜DSML｜invoke name="…">` and parameters.
    private static func call(_ bytes: ArraySlice<UInt8>) throws(ChatFault) -> ToolCall {
        guard bytes.starts(with: beginOfCall) else {
            throw .malformedCall("found \"\(string(bytes.prefix(40)))\", expected \(DSML.beginOfCall)")
        }
        var rest = bytes.dropFirst(beginOfCall.count)
        let name = string(try take(until: Array("\">".utf8), of: &rest, what: "the name of a call"))
        var members: [JSONObject.Member] = []
        while true {
            rest = rest.drop { $0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: " ") }
            guard !rest.isEmpty else { break }
            guard rest.starts(with: beginOfParameter) else {
                throw .malformedCall("\(name): found \"\(string(rest.prefix(40)))\", expected a parameter")
            }
            rest = rest.dropFirst(beginOfParameter.count)
            let key = string(
                try take(until: Array("\" string=\"".utf8), of: &rest, what: "a parameter's name")
            )
            let kind = string(try take(until: Array("\">".utf8), of: &rest, what: "a parameter's kind"))
            let value = try take(until: endOfParameter, of: &rest, what: "the parameter \(key)")
            members.append(JSONObject.Member(key: key, value: try Self.value(value, kind: kind, of: key)))
        }
        do {
            return ToolCall(name: name, object: try JSONObject(members))
        } catch {
            throw .malformedCall("\(name): \(error)")
        }
    }

    private static func value(
        _ bytes: ArraySlice<UInt8>,
        kind: String,
        of key: String
    ) throws(ChatFault) -> JSONValue {
        switch kind {
        case "true": return .string(string(bytes))
        case "false":
            do {
                return try JSONValue(parsing: Array(bytes), dialect: .nonFiniteNumbers)
            } catch {
                throw .malformedJSON("parameter \(key)", reason: "\(error)")
            }
        default:
            throw .malformedCall("parameter \(key) says string=\"\(kind)\", expected \"true\" or \"false\"")
        }
    }

    private static func take(
        until marker: [UInt8],
        of bytes: inout ArraySlice<UInt8>,
        what: String
    ) throws(ChatFault) -> ArraySlice<UInt8> {
        guard let range = bytes.firstRange(of: marker) else {
            throw .malformedCall("\(what) does not end, expected \(string(marker))")
        }
        defer { bytes = bytes[range.upperBound...] }
        return bytes[..<range.lowerBound]
    }
}

/// How a family of models marks up its answers.
protocol AnswerMarkup {
    /// What ends an answer; each of them does.
    static var ends: [String] { get }
    /// What begins calls of tools, with the white space before it that is no content.
    static var beginsOfCalls: [String] { get }
    /// What ends them, for whom it is missing.
    static var endOfCalls: String { get }
    /// Reads what comes next behind a beginning of calls.
    ///
    /// - Parameters:
    ///   - bytes: what was written behind it so far.
    ///   - tools: what may be called.
    /// - Returns: what it is; nil when its end is not there yet.
    /// - Throws: `ChatFault` for what can be no call.
    static func next(in bytes: ArraySlice<UInt8>, tools: [ChatSchema]) throws(ChatFault) -> MarkedCall?
}

/// What stands behind a beginning of calls.
struct MarkedCall {
    /// The call; nil where calls end.
    let call: ToolCall?
    /// What follows.
    let rest: ArraySlice<UInt8>
    /// Whether no call can follow without a new beginning of calls.
    let isLast: Bool
}

/// Answers without tools.
enum PlainAnswer: AnswerMarkup {
    static let ends = [ChatMarker.DeepSeek.end]
    static let beginsOfCalls: [String] = []
    static let endOfCalls = ""

    static func next(in bytes: ArraySlice<UInt8>, tools: [ChatSchema]) -> MarkedCall? { nil }
}

extension ChatEncoder.Format {
    /// How answers are marked up.
    var markup: any AnswerMarkup.Type {
        switch self {
        case .plain: PlainAnswer.self
        case .dsml: DSML.self
        case .glm5, .glm52: GLMCalls.self
        }
    }
}

// MARK: - Bytes

extension ArraySlice<UInt8> {
    /// The bytes as text.
    var text: String { String(decoding: self, as: UTF8.self) }

    /// The beginning of the text, for errors.
    var excerpt: String { prefix(40).text }

    /// The bytes behind spaces, tabs and line ends.
    var withoutLeadingSpace: ArraySlice<UInt8> { drop { " \t\r\n".utf8.contains($0) } }

    /// Whether the bytes begin with a marker, or are as much of it as was written yet.
    func isBeginning(of marker: String) -> Bool {
        starts(with: marker.utf8) || marker.utf8.starts(with: self)
    }

    /// Removes a marker from the beginning; false when it is not there.
    mutating func take(_ marker: String) -> Bool {
        guard starts(with: marker.utf8) else { return false }
        removeFirst(marker.utf8.count)
        return true
    }

    /// Removes everything up to a marker, and the marker.
    ///
    /// - Returns: what stood before it.
    /// - Throws: `ChatFault.malformedCall` when it is not there.
    mutating func take(until marker: String, of what: String) throws(ChatFault) -> ArraySlice<UInt8> {
        guard let range = firstRange(of: Array(marker.utf8)) else {
            throw .malformedCall("\(what) does not end, expected \(marker)")
        }
        defer { self = self[range.upperBound...] }
        return self[..<range.lowerBound]
    }
}

extension ToolCall {
    /// A call with the arguments read for it.
    ///
    /// - Throws: `ChatFault.malformedCall` when one is there twice.
    init(name: String, _ arguments: [JSONObject.Member]) throws(ChatFault) {
        do {
            self.init(name: name, object: try JSONObject(arguments))
        } catch {
            throw .malformedCall("\(name): \(error)")
        }
    }
}

/// GLM's mark-up for calls of tools and what they gave.
///
/// A call is `<tool_call>name<arg_key>key</arg_key><arg_value>value</arg_value>…</tool_call>`: a value is a string as it is, or
/// JSON. White space between the parts, as GLM-4.5 and 4.6 wrote it, is read over.
///
/// Source: GLM-5 `chat_template.jinja`; vLLM `glm47_moe_tool_parser.py` for how values are read.
enum GLMCalls {
    static let beginOfCall = "<tool_call>"
    static let endOfCall = "</tool_call>"
    static let beginOfKey = "<arg_key>"
    static let endOfKey = "</arg_key>"
    static let beginOfValue = "<arg_value>"
    static let endOfValue = "</arg_value>"

    /// A call as the model writes it.
    static func text(of call: ToolCall) -> String {
        let arguments = call.object.members.map { member in
            beginOfKey + member.key + endOfKey
                + beginOfValue + (member.value.string ?? member.value.pythonText) + endOfValue
        }
        return beginOfCall + call.name + arguments.joined() + endOfCall
    }

    /// What a tool gave, as the model reads it.
    static func result(_ content: String) -> String {
        "<tool_response>\(content)</tool_response>"
    }

    /// What the model is told about tools.
    static func introduction(_ tools: [String]) -> String {
        """

        # Tools

        You may call one or more functions to assist with the user query.

        You are provided with function signatures within <tools></tools> XML tags:
        <tools>
        \(tools.map { $0 + "\n" }.joined())</tools>

        For each function call, output the function name and arguments within the following XML format:
        \(beginOfCall){function-name}\
        \(beginOfKey){arg-key-1}\(endOfKey)\(beginOfValue){arg-value-1}\(endOfValue)\
        \(beginOfKey){arg-key-2}\(endOfKey)\(beginOfValue){arg-value-2}\(endOfValue)...\(endOfCall)
        """
    }
}

// MARK: - Reading

extension GLMCalls: AnswerMarkup {
    /// The model ends its turn with the marker of the next one.
    static let ends = [ChatMarker.GLM.end, ChatMarker.GLM.user, ChatMarker.GLM.observation]
    static let beginsOfCalls = ["\n\n" + beginOfCall, "\n" + beginOfCall, beginOfCall]
    static let endOfCalls = endOfCall

    static func next(
        in bytes: ArraySlice<UInt8>,
        tools: [ChatSchema]
    ) throws(ChatFault) -> MarkedCall? {
        guard let end = end(in: bytes) else { return nil }
        let call = try call(bytes[..<end.lowerBound], tools: tools)
        return MarkedCall(call: call, rest: bytes[end.upperBound...], isLast: true)
    }

    /// The end of the call: the first that stands in no value.
    private static func end(in bytes: ArraySlice<UInt8>) -> Range<Int>? {
        var rest = bytes
        while let end = rest.firstRange(of: Array(endOfCall.utf8)) {
            guard let value = rest[..<end.lowerBound].firstRange(of: Array(beginOfValue.utf8)) else {
                return end
            }
            rest = rest[value.upperBound...]
            guard let close = rest.firstRange(of: Array(endOfValue.utf8)) else { return nil }
            rest = rest[close.upperBound...]
        }
        return nil
    }

    /// A call without its beginning and end.
    private static func call(_ bytes: ArraySlice<UInt8>, tools: [ChatSchema]) throws(ChatFault) -> ToolCall {
        let name = bytes.prefix { $0 != UInt8(ascii: "<") }
        var rest = bytes[name.endIndex...]
        let trimmed = name.withoutLeadingSpace.text.trimmed
        guard !trimmed.isEmpty else { throw .malformedCall("found \"\(bytes.excerpt)\", expected a name") }
        let tool = tools.first { $0.object["name"]?.string == trimmed }
        var arguments: [JSONObject.Member] = []
        while !rest.withoutLeadingSpace.isEmpty {
            rest = rest.withoutLeadingSpace
            guard rest.take(beginOfKey) else {
                throw .malformedCall("\(trimmed): found \"\(rest.excerpt)\", expected \(beginOfKey)")
            }
            let key = try rest.take(until: endOfKey, of: "an argument's name").text.trimmed
            rest = rest.withoutLeadingSpace
            guard rest.take(beginOfValue) else {
                throw .malformedCall("argument \(key): found \"\(rest.excerpt)\", expected \(beginOfValue)")
            }
            let value = try rest.take(until: endOfValue, of: "the argument \(key)")
            arguments.append(JSONObject.Member(key: key, value: Self.value(value, tool?.takesString(key))))
        }
        return try ToolCall(name: trimmed, arguments)
    }

    private static func value(_ bytes: ArraySlice<UInt8>, _ isString: Bool?) -> JSONValue {
        if isString == true { return .string(bytes.text) }
        return (try? JSONValue(parsing: Array(bytes), dialect: .nonFiniteNumbers)) ?? .string(bytes.text)
    }
}

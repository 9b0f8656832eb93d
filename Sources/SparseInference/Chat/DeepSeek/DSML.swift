/// DeepSeek-V3.2's mark-up for calls of tools.
///
/// Source: DeepSeek-V3.2 `encoding_dsv32.py`.
enum DSML {
    static let token = "｜DSML｜"
    static let beginOfCalls = "<\(token)function_calls>"
    static let endOfCalls = "</\(token)function_calls>"
    static let beginOfCall = "<\(token)invoke name=\""
    static let endOfCall = "</\(token)invoke>"
    static let beginOfParameter = "<\(token)parameter name=\""
    static let endOfParameter = "</\(token)parameter>"

    /// Calls as the model writes them.
    static func block(_ calls: [ToolCall]) -> String {
        let calls = calls.map { call in
            let parameters = call.object.members.map { member in
                let string = member.value.string
                let value = string ?? member.value.pythonText
                return
                    "\(beginOfParameter)\(member.key)\" string=\"\(string != nil)\">\(value)\(endOfParameter)"
            }
            return "\(beginOfCall)\(call.name)\">\n\(parameters.joined(separator: "\n"))\n\(endOfCall)"
        }
        return "\(beginOfCalls)\n\(calls.joined(separator: "\n"))\n\(endOfCalls)"
    }

    /// What the model is told about tools.
    ///
    /// Source: DeepSeek-V3.2 `encoding_dsv32.py`, `TOOLS_SYSTEM_TEMPLATE`.
    static func introduction(_ schemas: String) -> String {
        """
        ## Tools

        You have access to a set of tools you can use to answer the user's question.
        You can invoke functions by writing a "\(beginOfCalls)" block like the following as part of your reply to the user:
        \(beginOfCalls)
        \(beginOfCall)$FUNCTION_NAME">
        \(beginOfParameter)$PARAMETER_NAME" string="true|false">$PARAMETER_VALUE\(endOfParameter)
        ...
        \(endOfCall)
        \(beginOfCall)$FUNCTION_NAME2">
        ...
        \(endOfCall)
        \(endOfCalls)

        String and scalar parameters should be specified as is without any escaping or quotes, while lists and objects \
        should use JSON format. The "string" attribute should be set to "true" for string type parameters and "false" for \
        other types (numbers, booleans, arrays, objects).

        If the thinking_mode is enabled, then after function results you should strongly consider outputting a thinking \
        block. Here is an example:

        \(beginOfCalls)
        ...
        \(endOfCalls)

        <function_results>
        ...
        </function_results>

        \(ChatMarker.beginOfThinking)...thinking about results\(ChatMarker.endOfThinking)

        Here are the functions available in JSONSchema format:
        <functions>
        \(schemas)
        </functions>

        """
    }
}

// MARK: - Reading

extension DSML: AnswerMarkup {
    static let ends = [ChatMarker.DeepSeek.end]
    static let beginsOfCalls = [beginOfCalls, "\n\n" + beginOfCalls]

    static func next(
        in bytes: ArraySlice<UInt8>,
        tools: [ChatSchema]
    ) throws(ChatFault) -> MarkedCall? {
        let rest = bytes.withoutLeadingSpace
        if rest.starts(with: endOfCalls.utf8) {
            return MarkedCall(call: nil, rest: rest.dropFirst(endOfCalls.utf8.count), isLast: true)
        }
        guard let end = rest.firstRange(of: Array(endOfCall.utf8)) else {
            guard [beginOfCall, endOfCalls].contains(where: rest.isBeginning) else {
                throw .malformedCall("found \"\(rest.excerpt)\", expected \(beginOfCall)")
            }
            return nil
        }
        let call = try call(rest[..<end.lowerBound])
        return MarkedCall(call: call, rest: rest[end.upperBound...], isLast: false)
    }

    /// A call without its end: `<｜DSML｜invoke name="…">` and parameters.
    private static func call(_ bytes: ArraySlice<UInt8>) throws(ChatFault) -> ToolCall {
        var rest = bytes
        guard rest.take(beginOfCall) else {
            throw .malformedCall("found \"\(rest.excerpt)\", expected \(beginOfCall)")
        }
        let name = try rest.take(until: "\">", of: "the name of a call").text
        var arguments: [JSONObject.Member] = []
        while true {
            rest = rest.withoutLeadingSpace
            guard !rest.isEmpty else { break }
            guard rest.take(beginOfParameter) else {
                throw .malformedCall("\(name): found \"\(rest.excerpt)\", expected a parameter")
            }
            let key = try rest.take(until: "\" string=\"", of: "a parameter's name").text
            let kind = try rest.take(until: "\">", of: "a parameter's kind").text
            let value = try rest.take(until: endOfParameter, of: "the parameter \(key)")
            arguments.append(JSONObject.Member(key: key, value: try Self.value(value, kind: kind, of: key)))
        }
        return try ToolCall(name: name, arguments)
    }

    private static func value(
        _ bytes: ArraySlice<UInt8>,
        kind: String,
        of key: String
    ) throws(ChatFault) -> JSONValue {
        switch kind {
        case "true": return .string(bytes.text)
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
}

/// DeepSeek-V3.2's mark-up for calls of tools.
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

public import Foundation

/// One message of a conversation.
public struct ChatMessage: Equatable, Sendable {
    /// Who speaks.
    public enum Role: String, Sendable, CaseIterable {
        /// Instructions for the whole conversation.
        case system
        /// A user's turn that brings tools along.
        case developer
        /// The user.
        case user
        /// The model.
        case assistant
        /// What a tool gave.
        case tool
    }

    /// Who speaks.
    public var role: Role
    /// What is said.
    public var content: String
    /// What the model thought before it spoke; nil when it did not.
    public var reasoning: String?
    /// The tools the model calls.
    public var toolCalls: [ToolCall]
    /// The tools that may be called, from a system or developer message on.
    public var tools: [ChatSchema]
    /// A JSON schema that answers have to follow; nil for none.
    public var responseFormat: ChatSchema?

    /// A message.
    public init(
        _ role: Role,
        _ content: String,
        reasoning: String? = nil,
        toolCalls: [ToolCall] = [],
        tools: [ChatSchema] = [],
        responseFormat: ChatSchema? = nil
    ) {
        self.role = role
        self.content = content
        self.reasoning = reasoning
        self.toolCalls = toolCalls
        self.tools = tools
        self.responseFormat = responseFormat
    }
}

/// A JSON object that the model reads: what a tool is and takes, or what an answer has to look like.
public struct ChatSchema: Equatable, Sendable {
    let object: JSONObject

    /// The object, as the model reads it.
    public var json: String { JSONValue.object(object).pythonText }

    /// A schema from its JSON object, for a tool such as `{"name": "f", "description": "…", "parameters": {…}}`.
    ///
    /// - Throws: `ChatFault.malformedJSON`.
    public init(json: String) throws(ChatFault) {
        self.init(try readObject(json, what: "schema"))
    }

    init(_ object: JSONObject) {
        self.object = object
    }

    /// Whether the model reads both alike.
    public static func == (left: ChatSchema, right: ChatSchema) -> Bool {
        left.json == right.json
    }
}

extension ChatSchema {
    /// The tool as chat services exchange it, in an envelope that says it is a function.
    var envelope: String { #"{"type": "function", "function": \#(json)}"# }

    /// Whether a tool of this schema takes a string for an argument; nil where it does not say.
    func takesString(_ argument: String) -> Bool? {
        let type = object["parameters"]?.object?["properties"]?.object?[argument]?.object?["type"]
        return type?.string.map { $0 == "string" }
    }
}

/// A call of a tool.
public struct ToolCall: Equatable, Sendable {
    /// The tool's name.
    public let name: String
    let object: JSONObject

    /// The arguments as a JSON object, in the order they were given.
    public var arguments: String { JSONValue.object(object).pythonText }

    /// A call.
    ///
    /// - Parameters:
    ///   - name: the tool's name.
    ///   - arguments: a JSON object.
    /// - Throws: `ChatFault.malformedJSON`.
    public init(name: String, arguments: String) throws(ChatFault) {
        self.name = name
        object = try readObject(arguments, what: "arguments of \(name)")
    }

    init(name: String, object: JSONObject) {
        self.name = name
        self.object = object
    }

    /// Whether both call the same tool with arguments that the model reads alike.
    public static func == (left: ToolCall, right: ToolCall) -> Bool {
        left.name == right.name && left.arguments == right.arguments
    }
}

private func readObject(_ text: String, what: String) throws(ChatFault) -> JSONObject {
    let value: JSONValue
    do {
        value = try JSONValue(parsing: Array(text.utf8), dialect: .nonFiniteNumbers)
    } catch {
        throw .malformedJSON(what, reason: "\(error)")
    }
    guard let object = value.object else {
        throw .malformedJSON(what, reason: "is \(value.summary), expected an object")
    }
    return object
}

// MARK: - Reading

extension ChatMessage {
    /// Reads messages as chat services exchange them: a JSON array of objects with `role`, `content`, `reasoning_content`,
    /// `tool_calls`, `tools` and `response_format`.
    ///
    /// - Parameter data: the JSON text.
    /// - Returns: the messages.
    /// - Throws: `ChatFault`, naming the message.
    public static func read(_ data: Data) throws(ChatFault) -> [ChatMessage] {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: [UInt8](data), dialect: .nonFiniteNumbers)
        } catch {
            throw .malformedJSON("messages", reason: "\(error)")
        }
        return try read(value)
    }

    package static func read(_ value: JSONValue) throws(ChatFault) -> [ChatMessage] {
        guard let array = value.array else {
            throw .malformedJSON("messages", reason: "is \(value.summary), expected an array")
        }
        var messages: [ChatMessage] = []
        for (index, item) in array.enumerated() {
            messages.append(try ChatMessage(item, index: index))
        }
        return messages
    }

    private init(_ value: JSONValue, index: Int) throws(ChatFault) {
        let place = "message \(index)"
        guard let object = value.object else {
            throw .malformedJSON(place, reason: "is \(value.summary), expected an object")
        }
        let name = object["role"]?.string ?? ""
        guard let role = Role(rawValue: name) else { throw .unknownRole(name, message: index) }
        func text(_ key: String) throws(ChatFault) -> String? {
            guard let value = object[key], !value.isNull else { return nil }
            guard let text = value.string else {
                throw .malformedJSON("\(place).\(key)", reason: "is \(value.summary), expected a string")
            }
            return text
        }
        func list(_ key: String) throws(ChatFault) -> [JSONValue] {
            guard let value = object[key], !value.isNull else { return [] }
            guard let list = value.array else {
                throw .malformedJSON("\(place).\(key)", reason: "is \(value.summary), expected an array")
            }
            return list
        }
        let content = try text("content")
        guard content != nil || role == .system || role == .assistant else {
            throw .malformedJSON("\(place).content", reason: "is missing, expected a string")
        }
        self.init(role, content ?? "", reasoning: try text("reasoning_content"))
        for tool in try list("tools") {
            guard let function = tool.object?["function"]?.object else {
                throw .malformedJSON("\(place).tools", reason: "lacks an object \"function\"")
            }
            tools.append(ChatSchema(function))
        }
        for call in try list("tool_calls") {
            guard let function = call.object?["function"]?.object, let name = function["name"]?.string,
                let arguments = function["arguments"]?.string
            else {
                throw .malformedJSON("\(place).tool_calls", reason: "lacks a function's name or arguments")
            }
            toolCalls.append(try ToolCall(name: name, arguments: arguments))
        }
        if let format = object["response_format"]?.object, !format.members.isEmpty {
            responseFormat = ChatSchema(format)
        }
    }
}

// MARK: - Writing

extension ChatMessage {
    /// The message as chat services exchange it: a JSON object.
    public var json: String {
        func quoted(_ text: String) -> String { JSONValue.string(text).pythonText }
        var fields = [("role", quoted(role.rawValue)), ("content", quoted(content))]
        if let reasoning { fields.append(("reasoning_content", quoted(reasoning))) }
        if !toolCalls.isEmpty {
            let calls = toolCalls.map { call in
                let (name, arguments) = (quoted(call.name), quoted(call.arguments))
                return #"{"type": "function", "function": {"name": \#(name), "arguments": \#(arguments)}}"#
            }
            fields.append(("tool_calls", "[\(calls.joined(separator: ", "))]"))
        }
        if !tools.isEmpty {
            fields.append(("tools", "[\(tools.map(\.envelope).joined(separator: ", "))]"))
        }
        if let responseFormat { fields.append(("response_format", responseFormat.json)) }
        return "{\(fields.map { "\"\($0.0)\": \($0.1)" }.joined(separator: ", "))}"
    }
}

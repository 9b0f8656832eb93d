/// A value read from JSON, with nothing lost: numbers keep their digits, objects the order of their keys.
package enum JSONValue: Sendable {
    /// The literal `null`.
    case null
    /// The literal `true` or `false`.
    case bool(Bool)
    /// A number, as it is written in the text.
    case number(String)
    /// A string, escapes resolved.
    case string(String)
    /// An array.
    case array([JSONValue])
    /// An object.
    case object(JSONObject)
}

/// Which texts are read as JSON.
package enum JSONDialect: Sendable {
    /// RFC 8259 to the letter.
    case strict
    /// The same with the numbers `NaN`, `Infinity` and `-Infinity`, as Python's `json` writes them.
    case nonFiniteNumbers
}

extension JSONValue {
    /// Reads one JSON text strictly, as RFC 8259 defines it.
    ///
    /// Refused beyond the grammar's own rules: a byte order mark, bytes that are not UTF-8, half a
    /// surrogate pair, a key twice in one object, and nesting deeper than `maximumDepth`.
    ///
    /// - Parameters:
    ///   - bytes: the whole text.
    ///   - maximumDepth: how many arrays and objects may stand inside one another.
    ///   - dialect: whether numbers that are not finite may be written.
    /// - Throws: the first `JSONFault` met.
    package init(
        parsing bytes: [UInt8],
        maximumDepth: Int = 128,
        dialect: JSONDialect = .strict
    ) throws(JSONFault) {
        var parser = JSONParser(bytes: bytes, maximumDepth: maximumDepth, dialect: dialect)
        self = try parser.parseText()
    }
}

// MARK: - What a value is

extension JSONValue {
    /// The object, when the value is one.
    package var object: JSONObject? {
        if case .object(let object) = self { object } else { nil }
    }

    /// The elements, when the value is an array.
    package var array: [JSONValue]? {
        if case .array(let elements) = self { elements } else { nil }
    }

    /// The string, when the value is one.
    package var string: String? {
        if case .string(let string) = self { string } else { nil }
    }

    /// The number, when it is written without fraction and exponent and fits an `Int`.
    package var int: Int? {
        if case .number(let literal) = self { Int(literal) } else { nil }
    }

    /// The number nearest to the one written, when that is finite.
    package var double: Double? {
        guard case .number(let literal) = self, let value = Double(literal), value.isFinite else {
            return nil
        }
        return value
    }

    /// The truth value, when the value is one.
    package var bool: Bool? {
        if case .bool(let bool) = self { bool } else { nil }
    }

    /// Whether the value is `null`.
    package var isNull: Bool {
        if case .null = self { true } else { false }
    }

    /// The value for an error message: its kind, and what it says when that is short.
    package var summary: String {
        switch self {
        case .null: "null"
        case .bool(let bool): bool ? "true" : "false"
        case .number(let literal): JSONValue.shortened(literal)
        case .string(let string): "\"\(JSONValue.shortened(string))\""
        case .array(let elements): "an array of \(elements.count)"
        case .object(let object): "an object of \(object.members.count)"
        }
    }

    private static func shortened(_ text: String, to limit: Int = 40) -> String {
        text.count <= limit ? text : text.prefix(limit) + "…"
    }
}

// MARK: - Equality

extension JSONValue: Equatable {
    /// Whether both are written the same: strings by their bytes, numbers by their digits.
    package static func == (left: JSONValue, right: JSONValue) -> Bool {
        switch (left, right) {
        case (.null, .null): true
        case (.bool(let left), .bool(let right)): left == right
        case (.number(let left), .number(let right)): left == right
        case (.string(let left), .string(let right)): ByteKey(left) == ByteKey(right)
        case (.array(let left), .array(let right)): left == right
        case (.object(let left), .object(let right)): left == right
        default: false
        }
    }
}

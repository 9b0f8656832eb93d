/// One object of a tokenizer's file, read field by field; errors name the field by its path.
struct TokenizerFields {
    private let object: JSONObject
    private let path: String

    /// Takes a value that must be an object.
    ///
    /// - Parameters:
    ///   - value: what should be an object.
    ///   - path: where it stands in the file; empty for the whole file.
    /// - Throws: `TokenizerFault.wrongType`.
    init(_ value: JSONValue, path: String) throws(TokenizerFault) {
        guard let object = value.object else {
            throw .wrongType(
                field: path.isEmpty ? "the file" : path,
                expected: "an object",
                found: value.summary
            )
        }
        self.object = object
        self.path = path
    }

    /// The members, in the order of the file.
    var members: [JSONObject.Member] { object.members }

    /// The path of a field.
    func name(_ key: String) -> String {
        path.isEmpty ? key : "\(path).\(key)"
    }

    /// A field's value; nil when it is left out or null.
    func optional(_ key: String) -> JSONValue? {
        object[key].flatMap { $0.isNull ? nil : $0 }
    }

    /// A field's value, which must be there.
    func value(_ key: String) throws(TokenizerFault) -> JSONValue {
        guard let value = object[key] else { throw .missingField(name(key)) }
        return value
    }

    /// A field that must be an object.
    func fields(_ key: String) throws(TokenizerFault) -> TokenizerFields {
        try TokenizerFields(value(key), path: name(key))
    }

    /// A field that must be an array; its elements with their paths.
    func elements(_ key: String) throws(TokenizerFault) -> [(value: JSONValue, path: String)] {
        let value = try value(key)
        guard let array = value.array else { throw wrongType(key, expected: "an array", found: value) }
        return array.enumerated().map { ($0.element, "\(name(key))[\($0.offset)]") }
    }

    /// A field that must be a string.
    func string(_ key: String) throws(TokenizerFault) -> String {
        let value = try value(key)
        guard let string = value.string else { throw wrongType(key, expected: "a string", found: value) }
        return string
    }

    /// A field that must be a whole number.
    func int(_ key: String) throws(TokenizerFault) -> Int {
        let value = try value(key)
        guard let int = value.int else { throw wrongType(key, expected: "a whole number", found: value) }
        return int
    }

    /// A field that is true or false, or takes its default when it is left out or null.
    func bool(_ key: String, default fallback: Bool) throws(TokenizerFault) -> Bool {
        guard let value = optional(key) else { return fallback }
        guard let bool = value.bool else { throw wrongType(key, expected: "true or false", found: value) }
        return bool
    }

    /// The fault of a field that asks for what is not supported.
    func unsupported(_ key: String) -> TokenizerFault {
        .unsupported(field: name(key), found: object[key]?.summary ?? "missing")
    }

    private func wrongType(_ key: String, expected: String, found: JSONValue) -> TokenizerFault {
        .wrongType(field: name(key), expected: expected, found: found.summary)
    }
}

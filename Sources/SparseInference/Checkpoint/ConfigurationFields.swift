/// Reads the fields of one object of a `config.json`, each with its type and its bounds.
///
/// A field that is `null` counts as missing.
struct ConfigurationFields {
    private let object: JSONObject
    /// What stands before a field's name in a fault: `rope_scaling.` or nothing.
    private let prefix: String

    init(_ value: JSONValue) throws(ConfigurationFault) {
        guard let object = value.object else { throw .notAnObject(found: value.summary) }
        self.object = object
        prefix = ""
    }

    private init(_ object: JSONObject, prefix: String) {
        self.object = object
        self.prefix = prefix
    }

    /// How faults name a field.
    func path(_ name: String) -> String {
        prefix + name
    }

    /// What stands in a field; nil when it is missing or `null`.
    func value(_ name: String) -> JSONValue? {
        object[name].flatMap { $0.isNull ? nil : $0 }
    }

    /// Whether the field is there, if only as `null`.
    func mentions(_ name: String) -> Bool {
        object[name] != nil
    }

    /// The object in a field.
    func fields(_ name: String) throws(ConfigurationFault) -> ConfigurationFields? {
        guard let value = value(name) else { return nil }
        guard let object = value.object else {
            throw .wrongType(field: path(name), found: value.summary, expected: .object)
        }
        return ConfigurationFields(object, prefix: path(name) + ".")
    }
}

// MARK: - Optional fields

extension ConfigurationFields {
    func optionalInt(_ name: String, in allowed: ClosedRange<Int>) throws(ConfigurationFault) -> Int? {
        guard let value = value(name) else { return nil }
        return try int(value, named: name, in: allowed)
    }

    func optionalNumber(
        _ name: String,
        in allowed: ClosedRange<Double>
    ) throws(ConfigurationFault) -> Double? {
        guard let value = value(name) else { return nil }
        guard let number = value.double else {
            throw .wrongType(field: path(name), found: value.summary, expected: .number)
        }
        guard allowed.contains(number) else {
            throw .numberOutOfRange(field: path(name), found: number, allowed: allowed)
        }
        return number
    }

    func optionalBool(_ name: String) throws(ConfigurationFault) -> Bool? {
        guard let value = value(name) else { return nil }
        guard let bool = value.bool else {
            throw .wrongType(field: path(name), found: value.summary, expected: .bool)
        }
        return bool
    }

    func optionalString(_ name: String) throws(ConfigurationFault) -> String? {
        guard let value = value(name) else { return nil }
        guard let string = value.string else {
            throw .wrongType(field: path(name), found: value.summary, expected: .string)
        }
        return string
    }

    func optionalArray(_ name: String) throws(ConfigurationFault) -> [JSONValue]? {
        guard let value = value(name) else { return nil }
        guard let array = value.array else {
            throw .wrongType(field: path(name), found: value.summary, expected: .array)
        }
        return array
    }

    /// One token id, or a list of them; empty when the field is missing.
    func tokens(_ name: String, in allowed: ClosedRange<Int>) throws(ConfigurationFault) -> [Int] {
        guard let value = value(name) else { return [] }
        var tokens: [Int] = []
        for element in value.array ?? [value] {
            guard element.int != nil else {
                throw .wrongType(field: path(name), found: element.summary, expected: .tokens)
            }
            tokens.append(try int(element, named: name, in: allowed))
        }
        return tokens
    }

    /// A whole number found in a field or in its list.
    func int(
        _ value: JSONValue,
        named name: String,
        in allowed: ClosedRange<Int>
    ) throws(ConfigurationFault) -> Int {
        guard let number = value.int else {
            throw .wrongType(field: path(name), found: value.summary, expected: .wholeNumber)
        }
        guard allowed.contains(number) else {
            throw .outOfRange(field: path(name), found: number, allowed: allowed)
        }
        return number
    }
}

// MARK: - Required fields

extension ConfigurationFields {
    func int(_ name: String, in allowed: ClosedRange<Int>) throws(ConfigurationFault) -> Int {
        guard let int = try optionalInt(name, in: allowed) else { throw .missingField(path(name)) }
        return int
    }

    func number(_ name: String, in allowed: ClosedRange<Double>) throws(ConfigurationFault) -> Double {
        guard let number = try optionalNumber(name, in: allowed) else { throw .missingField(path(name)) }
        return number
    }

    func bool(_ name: String) throws(ConfigurationFault) -> Bool {
        guard let bool = try optionalBool(name) else { throw .missingField(path(name)) }
        return bool
    }

    func string(_ name: String) throws(ConfigurationFault) -> String {
        guard let string = try optionalString(name) else { throw .missingField(path(name)) }
        return string
    }
}

// MARK: - Fields with one accepted value

extension ConfigurationFields {
    /// Refuses any string but `supported`; a missing field means that one.
    func expect(_ name: String, _ supported: String) throws(ConfigurationFault) {
        guard let found = try optionalString(name), found != supported else { return }
        throw .unsupported(field: path(name), found: "\"\(found)\"", supported: ["\"\(supported)\""])
    }

    /// Refuses the truth value that is not `supported`; a missing field means that one.
    func expect(_ name: String, _ supported: Bool) throws(ConfigurationFault) {
        guard let found = try optionalBool(name), found != supported else { return }
        throw .unsupported(field: path(name), found: "\(found)", supported: ["\(supported)"])
    }
}

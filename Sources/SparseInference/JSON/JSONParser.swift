/// Reads a JSON text from left to right, one pass over its bytes.
struct JSONParser {
    private let bytes: [UInt8]
    private let maximumDepth: Int
    private let dialect: JSONDialect
    private var offset = 0

    init(bytes: [UInt8], maximumDepth: Int, dialect: JSONDialect) {
        self.bytes = bytes
        self.maximumDepth = maximumDepth
        self.dialect = dialect
    }

    /// The only value of the text.
    mutating func parseText() throws(JSONFault) -> JSONValue {
        let value = try parseValue(depth: 0)
        skipSpace()
        guard offset == bytes.count else { throw .trailingBytes(offset: offset) }
        return value
    }
}

// MARK: - Values

extension JSONParser {
    /// Reads a value that stands inside `depth` arrays and objects.
    private mutating func parseValue(depth: Int) throws(JSONFault) -> JSONValue {
        skipSpace()
        switch try peek() {
        case UInt8(ascii: "{"):
            return .object(try parseObject(depth: depth + 1))
        case UInt8(ascii: "["):
            return .array(try parseArray(depth: depth + 1))
        case UInt8(ascii: "\""):
            return .string(try parseString())
        case UInt8(ascii: "-"), UInt8(ascii: "0")...UInt8(ascii: "9"):
            return .number(try parseNumber())
        case UInt8(ascii: "t"):
            try expect("true")
            return .bool(true)
        case UInt8(ascii: "f"):
            try expect("false")
            return .bool(false)
        case UInt8(ascii: "n"):
            try expect("null")
            return .null
        case UInt8(ascii: "N") where dialect == .nonFiniteNumbers:
            try expect("NaN")
            return .number("NaN")
        case UInt8(ascii: "I") where dialect == .nonFiniteNumbers:
            try expect("Infinity")
            return .number("Infinity")
        case let byte:
            throw .unexpectedByte(byte, offset: offset)
        }
    }

    private mutating func parseObject(depth: Int) throws(JSONFault) -> JSONObject {
        guard depth <= maximumDepth else { throw .tooDeep(limit: maximumDepth) }
        offset += 1
        skipSpace()
        var members: [JSONObject.Member] = []
        if try peek() == UInt8(ascii: "}") {
            offset += 1
            return try JSONObject(members)
        }
        while true {
            skipSpace()
            guard try peek() == UInt8(ascii: "\"") else { throw unexpected() }
            let key = try parseString()
            skipSpace()
            guard try peek() == UInt8(ascii: ":") else { throw unexpected() }
            offset += 1
            members.append(.init(key: key, value: try parseValue(depth: depth)))
            if try !continues(until: UInt8(ascii: "}")) { return try JSONObject(members) }
        }
    }

    private mutating func parseArray(depth: Int) throws(JSONFault) -> [JSONValue] {
        guard depth <= maximumDepth else { throw .tooDeep(limit: maximumDepth) }
        offset += 1
        skipSpace()
        var elements: [JSONValue] = []
        if try peek() == UInt8(ascii: "]") {
            offset += 1
            return elements
        }
        repeat {
            elements.append(try parseValue(depth: depth))
        } while try continues(until: UInt8(ascii: "]"))
        return elements
    }

    /// Whether a comma follows, rather than the bracket that closes the list; steps over either.
    private mutating func continues(until closing: UInt8) throws(JSONFault) -> Bool {
        skipSpace()
        let byte = try peek()
        guard byte == closing || byte == UInt8(ascii: ",") else { throw unexpected() }
        offset += 1
        return byte != closing
    }
}

// MARK: - Numbers

extension JSONParser {
    private mutating func parseNumber() throws(JSONFault) -> String {
        let start = offset
        if bytes[offset] == UInt8(ascii: "-") { offset += 1 }
        if dialect == .nonFiniteNumbers && offset < bytes.count && bytes[offset] == UInt8(ascii: "I") {
            try expect("Infinity")
            return "-Infinity"
        }
        let integer = skipDigits()
        guard integer > 0 else { throw .malformedNumber(offset: start) }
        if integer > 1 && bytes[offset - integer] == UInt8(ascii: "0") {
            throw .malformedNumber(offset: start)
        }
        if offset < bytes.count && bytes[offset] == UInt8(ascii: ".") {
            offset += 1
            guard skipDigits() > 0 else { throw .malformedNumber(offset: start) }
        }
        if offset < bytes.count && bytes[offset] | 0x20 == UInt8(ascii: "e") {
            offset += 1
            if offset < bytes.count,
                bytes[offset] == UInt8(ascii: "+") || bytes[offset] == UInt8(ascii: "-")
            {
                offset += 1
            }
            guard skipDigits() > 0 else { throw .malformedNumber(offset: start) }
        }
        return String(decoding: bytes[start..<offset], as: UTF8.self)
    }

    /// Steps over the digits that follow and counts them.
    private mutating func skipDigits() -> Int {
        let start = offset
        while offset < bytes.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(bytes[offset]) {
            offset += 1
        }
        return offset - start
    }
}

// MARK: - Strings

extension JSONParser {
    /// Reads a string whose opening quote is the next byte.
    private mutating func parseString() throws(JSONFault) -> String {
        let start = offset + 1
        var end = start
        var hasEscapes = false
        scan: while true {
            guard end < bytes.count else { throw .unexpectedEnd }
            switch bytes[end] {
            case UInt8(ascii: "\""):
                break scan
            case UInt8(ascii: "\\"):
                hasEscapes = true
                end += 2
            case 0..<0x20:
                throw .unexpectedByte(bytes[end], offset: end)
            default:
                end += 1
            }
        }
        // Escapes are ASCII, so the string is valid UTF-8 exactly when its source is.
        guard let string = String(validating: bytes[start..<end], as: UTF8.self) else {
            throw .invalidUTF8(offset: firstInvalid(in: start..<end))
        }
        offset = end + 1
        return hasEscapes ? try resolveEscapes(in: start..<end) : string
    }

    /// The offset of the first byte that breaks UTF-8.
    private func firstInvalid(in range: Range<Int>) -> Int {
        var parser = Unicode.UTF8.ForwardParser()
        var source = bytes[range].makeIterator()
        var offset = range.lowerBound
        while case .valid(let scalar) = parser.parseScalar(from: &source) { offset += scalar.count }
        return offset
    }

    private func resolveEscapes(in range: Range<Int>) throws(JSONFault) -> String {
        var resolved: [UInt8] = []
        resolved.reserveCapacity(range.count)
        var offset = range.lowerBound
        while offset < range.upperBound {
            guard bytes[offset] == UInt8(ascii: "\\") else {
                resolved.append(bytes[offset])
                offset += 1
                continue
            }
            // The scan stepped over the byte after each backslash, so it lies inside the range.
            switch bytes[offset + 1] {
            case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): resolved.append(bytes[offset + 1])
            case UInt8(ascii: "b"): resolved.append(0x08)
            case UInt8(ascii: "f"): resolved.append(0x0C)
            case UInt8(ascii: "n"): resolved.append(0x0A)
            case UInt8(ascii: "r"): resolved.append(0x0D)
            case UInt8(ascii: "t"): resolved.append(0x09)
            case UInt8(ascii: "u"):
                let (scalar, length) = try escapedScalar(at: offset, before: range.upperBound)
                resolved.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
                offset += length
                continue
            default: throw .invalidEscape(offset: offset)
            }
            offset += 2
        }
        return String(decoding: resolved, as: UTF8.self)
    }

    /// The scalar that the `\u` escape at `offset` spells, alone or as a surrogate pair, and its length.
    private func escapedScalar(
        at offset: Int,
        before end: Int
    ) throws(JSONFault) -> (scalar: Unicode.Scalar, length: Int) {
        let first = try hexadecimal(at: offset, before: end)
        if let scalar = Unicode.Scalar(first) { return (scalar, 6) }
        let next = offset + 6
        guard UTF16.isLeadSurrogate(first), next + 1 < end,
            bytes[next] == UInt8(ascii: "\\"), bytes[next + 1] == UInt8(ascii: "u")
        else { throw .unpairedSurrogate(offset: offset) }
        let second = try hexadecimal(at: next, before: end)
        guard UTF16.isTrailSurrogate(second) else { throw .unpairedSurrogate(offset: offset) }
        let value = 0x1_0000 + (UInt32(first) - 0xD800) << 10 + (UInt32(second) - 0xDC00)
        guard let scalar = Unicode.Scalar(value) else { throw .unpairedSurrogate(offset: offset) }
        return (scalar, 12)
    }

    /// The four hexadecimal digits of the `\u` escape at `offset`.
    private func hexadecimal(at offset: Int, before end: Int) throws(JSONFault) -> UInt16 {
        guard offset + 6 <= end else { throw .invalidEscape(offset: offset) }
        var value: UInt16 = 0
        for byte in bytes[offset + 2..<offset + 6] {
            let digit: UInt8
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): digit = byte - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): digit = byte - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): digit = byte - UInt8(ascii: "A") + 10
            default: throw .invalidEscape(offset: offset)
            }
            value = value << 4 | UInt16(digit)
        }
        return value
    }
}

// MARK: - Steps

extension JSONParser {
    private func peek() throws(JSONFault) -> UInt8 {
        guard offset < bytes.count else { throw .unexpectedEnd }
        return bytes[offset]
    }

    private func unexpected() -> JSONFault {
        offset < bytes.count ? .unexpectedByte(bytes[offset], offset: offset) : .unexpectedEnd
    }

    private mutating func expect(_ literal: StaticString) throws(JSONFault) {
        for expected in literal.description.utf8 {
            guard try peek() == expected else { throw unexpected() }
            offset += 1
        }
    }

    private mutating func skipSpace() {
        while offset < bytes.count {
            switch bytes[offset] {
            case 0x20, 0x0A, 0x0D, 0x09: offset += 1
            default: return
            }
        }
    }
}

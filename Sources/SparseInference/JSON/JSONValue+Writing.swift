extension JSONValue {
    /// The value as Python's `json.dumps(value, ensure_ascii=False)` writes it.
    ///
    /// Keys keep their order; `", "` and `": "` separate; integers keep all digits, other numbers are written with the fewest
    /// that tell them apart. It is the form in which models of the family saw JSON.
    package var pythonText: String {
        var text = ""
        write(to: &text)
        return text
    }

    private func write(to text: inout String) {
        switch self {
        case .null: text += "null"
        case .bool(let bool): text += bool ? "true" : "false"
        case .number(let literal): text += Self.number(literal)
        case .string(let string): Self.write(string, to: &text)
        case .array(let elements):
            text += "["
            for (index, element) in elements.enumerated() {
                if index > 0 { text += ", " }
                element.write(to: &text)
            }
            text += "]"
        case .object(let object):
            text += "{"
            for (index, member) in object.members.enumerated() {
                if index > 0 { text += ", " }
                Self.write(member.key, to: &text)
                text += ": "
                member.value.write(to: &text)
            }
            text += "}"
        }
    }

    private static func write(_ string: String, to text: inout String) {
        text += "\""
        for scalar in string.unicodeScalars {
            switch scalar {
            case "\"": text += "\\\""
            case "\\": text += "\\\\"
            case "\n": text += "\\n"
            case "\r": text += "\\r"
            case "\t": text += "\\t"
            case "\u{8}": text += "\\b"
            case "\u{C}": text += "\\f"
            case "\u{0}"..."\u{1F}":
                let digits = String(scalar.value, radix: 16)
                text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: text.unicodeScalars.append(scalar)
            }
        }
        text += "\""
    }

    // MARK: Numbers

    private static func number(_ literal: String) -> String {
        let isInteger = !literal.contains { $0 == "." || $0 == "e" || $0 == "E" }
        if isInteger { return literal == "-0" ? "0" : literal }
        guard let value = Double(literal) else { return literal }
        guard value.isFinite else { return value < 0 ? "-Infinity" : "Infinity" }
        return (value.sign == .minus ? "-" : "") + magnitude(value.magnitude)
    }

    /// Python's `repr`: decimals from 1e-4 to below 1e16, an exponent of at least two digits elsewhere.
    private static func magnitude(_ value: Double) -> String {
        // Swift's description has the same shortest digits, laid out by other rules.
        let parts = value.description.split(separator: "e")
        let mantissa = parts[0].split(separator: ".")
        let (whole, fraction) = (mantissa[0], mantissa.count > 1 ? mantissa[1] : "")
        var exponent = (parts.count > 1 ? Int(parts[1]) ?? 0 : 0) + whole.count - 1
        var digits = Array(whole + fraction)
        let zeros = digits.prefix { $0 == "0" }.count
        guard zeros < digits.count else { return "0.0" }
        digits.removeFirst(zeros)
        exponent -= zeros
        while digits.count > 1, digits.last == "0" { digits.removeLast() }
        if (-4..<16).contains(exponent) {
            if exponent < 0 { return "0." + String(repeating: "0", count: -exponent - 1) + String(digits) }
            let missing = max(0, exponent + 1 - digits.count)
            digits += Array(repeating: "0", count: missing)
            let tail = digits.count > exponent + 1 ? String(digits[(exponent + 1)...]) : "0"
            return String(digits[...exponent]) + "." + tail
        }
        let tail = digits.count > 1 ? "." + String(digits.dropFirst()) : ""
        let size = String(exponent.magnitude)
        return String(digits[0]) + tail + "e" + (exponent < 0 ? "-" : "+") + (size.count < 2 ? "0" : "")
            + size
    }
}

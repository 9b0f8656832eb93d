extension PreTokenizer {
    /// What splits words in a `ByteLevel` step of its own.
    ///
    /// Source: GPT-2 `src/encoder.py`.
    private static let wordPattern =
        #"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"#

    /// Reads a pre-tokenizer, whose last step must be `ByteLevel` and no other.
    ///
    /// - Parameters:
    ///   - value: what the file says.
    ///   - path: where it stands in the file.
    /// - Throws: `TokenizerFault` for other types than `Sequence`, `Split`, `Digits` and `ByteLevel`.
    init(_ value: JSONValue, path: String) throws(TokenizerFault) {
        let parts = try PreTokenizer.parts(value, path: path)
        var steps: [Step] = []
        for (index, part) in parts.enumerated() {
            let type = try part.string("type")
            if (type == "ByteLevel") != (index == parts.count - 1) {
                // Behind it the text is written in the alphabet of bytes, which other steps would see.
                throw .unsupported(field: path, found: "a sequence that does not end in its only ByteLevel")
            }
            steps += try PreTokenizer.steps(of: part, type: type)
        }
        if parts.isEmpty { throw .unsupported(field: path, found: "a sequence of nothing") }
        self.init(steps: steps)
    }

    /// The pre-tokenizers in order, sequences opened; each of a known type.
    private static func parts(
        _ value: JSONValue,
        path: String
    ) throws(TokenizerFault) -> [TokenizerFields] {
        let fields = try TokenizerFields(value, path: path)
        switch try fields.string("type") {
        case "Sequence":
            var parts: [TokenizerFields] = []
            for (value, path) in try fields.elements("pretokenizers") {
                parts += try self.parts(value, path: path)
            }
            return parts
        case "Split", "Digits", "ByteLevel": return [fields]
        default: throw fields.unsupported("type")
        }
    }

    private static func steps(of part: TokenizerFields, type: String) throws(TokenizerFault) -> [Step] {
        switch type {
        case "Split":
            return [try split(part)]
        case "Digits":
            let behavior: SplitBehavior =
                try part.bool("individual_digits", default: false) ? .isolated : .contiguous
            return [.split(try SplitPattern(regex: #"\p{N}"#), behavior, inverted: false)]
        default:
            var steps: [Step] = []
            if try part.bool("add_prefix_space", default: true) { steps.append(.prefixSpace) }
            if try part.bool("use_regex", default: true) {
                steps.append(.split(try SplitPattern(regex: wordPattern), .isolated, inverted: false))
            }
            return steps
        }
    }

    private static func split(_ part: TokenizerFields) throws(TokenizerFault) -> Step {
        guard let behavior = SplitBehavior(rawValue: try part.string("behavior")) else {
            throw part.unsupported("behavior")
        }
        let inverted = try part.bool("invert", default: false)
        let pattern = try part.fields("pattern")
        guard pattern.members.count == 1, let kind = pattern.members.first?.key else {
            throw part.unsupported("pattern")
        }
        switch kind {
        case "Regex":
            return .split(try SplitPattern(regex: pattern.string(kind)), behavior, inverted: inverted)
        case "String":
            return .split(try SplitPattern(literal: pattern.string(kind)), behavior, inverted: inverted)
        default: throw .unsupported(field: part.name("pattern"), found: "\"\(kind)\"")
        }
    }
}

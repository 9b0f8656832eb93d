import SparseInference
import XCTest

/// A small tokenizer in the making, of which each test changes what it is about.
///
/// It has 256 bytes, words of up to three letters out of `a`, `1`, space and line feed, one deep merge, and
/// three added tokens.
///
/// Every pair of the small words is merged, so a word of up to three such letters is always one token, and
/// the tokens of a text show where it was cut.
struct TokenizerFixture {
    var tokens: [(text: String, id: Int)] = []
    var merges: [(left: String, right: String)] = []
    var added = [
        added("<begin>", id: 1000, special: true),
        added("<end>", id: 1001, special: true),
        added("<think>", id: 1002),
    ]
    var model = ""
    var normalizer = "null"
    var preTokenizer = split("\\s+|\\d+")
    var decoder = "{\"type\":\"ByteLevel\"}"
    var postProcessor = "null"

    init() {
        for (byte, character) in TokenizerFixture.alphabet.enumerated() { tokens.append((character, byte)) }
        let letters = ["a", "1", "Ġ", "Ċ"]
        let pairs = letters.flatMap { left in letters.map { (left, $0) } }
        for (left, right) in pairs { merge(left, right) }
        for (left, right) in pairs {
            for letter in letters { merge(left + right, letter) }
            for letter in letters { merge(letter, left + right) }
        }
        for (left, right) in [("b", "c"), ("c", "d"), ("b", "cd"), ("bc", "d"), ("bcd", "bcd")] {
            merge(left, right)
        }
    }

    /// How byte-level tokens write each byte, told apart from the code under test.
    static let alphabet: [String] = {
        let printed = Set(Array(33...126) + Array(161...172) + Array(174...255))
        var next = 256
        return (0..<256).map { byte in
            defer { next += printed.contains(byte) ? 0 : 1 }
            return Unicode.Scalar(printed.contains(byte) ? byte : next).map { String(Character($0)) } ?? ""
        }
    }()

    /// A text as byte-level tokens write it.
    static func written(_ text: String) -> String {
        text.utf8.map { alphabet[Int($0)] }.joined()
    }

    /// Adds a merge, and the token it makes if that is new.
    mutating func merge(_ left: String, _ right: String) {
        if !tokens.contains(where: { $0.text.utf8.elementsEqual((left + right).utf8) }) {
            tokens.append((left + right, tokens.count))
        }
        merges.append((left, right))
    }
}

// MARK: - As JSON

extension TokenizerFixture {
    /// A string as JSON.
    static func quoted(_ text: String) -> String {
        let escaped = text.unicodeScalars.map { scalar in
            switch scalar {
            case "\"", "\\": "\\\(scalar)"
            case "\0"..<" ": "\\u00" + (scalar.value < 16 ? "0" : "") + String(scalar.value, radix: 16)
            default: String(scalar)
            }
        }
        return "\"\(escaped.joined())\""
    }

    /// An entry of `added_tokens`; `flags` are more members.
    static func added(_ content: String, id: Int, special: Bool = false, _ flags: String = "") -> String {
        "{\"id\":\(id),\"content\":\(quoted(content)),\"special\":\(special)\(flags)}"
    }

    /// A pre-tokenizer that splits at a pattern and then writes bytes.
    static func split(
        _ pattern: String,
        _ behavior: String = "Isolated",
        invert: Bool = false,
        kind: String = "Regex"
    ) -> String {
        "{\"type\":\"Sequence\",\"pretokenizers\":[{\"type\":\"Split\",\"pattern\":{\"\(kind)\":"
            + "\(quoted(pattern))},\"behavior\":\"\(behavior)\",\"invert\":\(invert)},"
            + "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}]}"
    }

    /// The members of `model`, without its braces.
    var modelMembers: String {
        let vocabulary = tokens.map { "\(TokenizerFixture.quoted($0.text)):\($0.id)" }.joined(separator: ",")
        let pairs = merges.map {
            "[\(TokenizerFixture.quoted($0.left)),\(TokenizerFixture.quoted($0.right))]"
        }
        return "\(model)\"vocab\":{\(vocabulary)},\"merges\":[\(pairs.joined(separator: ","))]"
    }

    /// `tokenizer.json`.
    var text: String {
        "{\"version\":\"1.0\",\"added_tokens\":[\(added.joined(separator: ","))],"
            + "\"normalizer\":\(normalizer),\"pre_tokenizer\":\(preTokenizer),\"decoder\":\(decoder),"
            + "\"post_processor\":\(postProcessor),\"model\":{\(modelMembers)}}"
    }

    /// The tokenizer this describes.
    func tokenizer(configuration: String? = nil) throws -> Tokenizer {
        try Tokenizer(
            tokenizer: JSONValue(parsing: Array(text.utf8)),
            configuration: configuration.map { try JSONValue(parsing: Array($0.utf8)) }
        )
    }
}

// MARK: - What tests look at

extension Tokenizer {
    /// The tokens of a text, as the file writes them.
    func tokens(_ text: String) -> [String] {
        encode(text).map { token(for: $0) ?? "?" }
    }
}

/// Steele, Lea and Flood 2014, *SplitMix*: the same texts on every machine.
struct TextGenerator: RandomNumberGenerator {
    var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ bits >> 30) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ bits >> 27) &* 0x94D0_49BB_1331_11EB
        return bits ^ bits >> 31
    }

    /// Text of many scripts: words, digits, white space of all kinds, marks, emoji, private and unassigned
    /// code points, whole and broken added tokens.
    mutating func text() -> String {
        let parts = [
            "a", "1", " ", "\n", "\r\n", "\t", "bcd", "abc", "42", "é", "e\u{301}", "\u{85}", "\u{B}",
            "\u{1C}",
            "\u{A0}", "\u{2028}", "\u{3000}", "\u{200B}", "\u{FEFF}", "ﬁ", "中文", "日本語", "한국어", "Привет",
            "עברית", "हिन्दी", "😀", "👩‍👩‍👧", "🇨🇳", "1️⃣", "½", "٣", "𝟘", "\u{E000}", "\u{378}", "\u{10FFFF}",
            "\0", "<think>", "<begin>", "<end>", "<thi", "<", "\u{301}", "\u{FFFD}", "Ġ",
        ]
        return (0..<Int.random(in: 0...24, using: &self)).map { _ in
            Bool.random(using: &self) ? parts.randomElement(using: &self) ?? "" : scalar()
        }.joined()
    }

    private mutating func scalar() -> String {
        let value = UInt32.random(in: 0..<(1 << UInt32.random(in: 7...20, using: &self)), using: &self)
        return Unicode.Scalar(value).map { String(Character($0)) } ?? ""
    }
}

import SparseInference
import XCTest

/// Where a text is cut into words, seen by its tokens.
final class TokenizerSplitTests: XCTestCase {
    private func tokens(_ text: String, _ preTokenizer: String) throws -> [String] {
        var fixture = TokenizerFixture()
        fixture.preTokenizer = preTokenizer
        return try fixture.tokenizer().tokens(text)
    }

    func testBehaviors() throws {
        let cases: [(String, invert: Bool, [String])] = [
            ("Isolated", false, ["a", "1", "1", "aa", "1"]), ("Isolated", true, ["a", "1", "1", "aa", "1"]),
            ("Removed", false, ["a", "aa"]), ("Removed", true, ["1", "1", "1"]),
            ("MergedWithPrevious", false, ["a1", "1", "aa1"]),
            ("MergedWithPrevious", true, ["a", "1", "1aa", "1"]),
            ("MergedWithNext", false, ["a", "1", "1aa", "1"]), ("MergedWithNext", true, ["a1", "1", "aa1"]),
            ("Contiguous", false, ["a", "11", "aa", "1"]), ("Contiguous", true, ["a", "11", "aa", "1"]),
        ]
        for (behavior, invert, expected) in cases {
            for (pattern, kind) in [("1", "String"), ("\\d", "Regex")] {
                let split = TokenizerFixture.split(pattern, behavior, invert: invert, kind: kind)
                XCTAssertEqual(try tokens("a11aa1", split), expected, "\(behavior) \(invert)")
            }
        }
    }

    func testStringsAreNoPatterns() throws {
        let split = TokenizerFixture.split("a.1", "Isolated", kind: "String")
        XCTAssertEqual(try tokens("aa1a.1", split), ["aa1", "a", ".", "1"])
    }

    func testStepsSeeOnePieceAlone() throws {
        let number = "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"1+\"},\"behavior\":\"Isolated\"}"
        let space = #"{"type":"Split","pattern":{"Regex":"\\s+(?!\\S)|\\s+"},"behavior":"Isolated"}"#
        let bytes = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
        let inner = "{\"type\":\"Sequence\",\"pretokenizers\":[\(number),\(space)]}"
        let sequence = "{\"type\":\"Sequence\",\"pretokenizers\":[\(inner),\(bytes)]}"
        XCTAssertEqual(try tokens("a  1a  a", sequence), ["a", "ĠĠ", "1", "a", "Ġ", "Ġ", "a"])
    }

    func testByteLevelSplitsByItself() throws {
        func byteLevel(_ members: String) -> String { "{\"type\":\"ByteLevel\"\(members)}" }
        XCTAssertEqual(
            try tokens("aa 11  a\n", byteLevel(",\"add_prefix_space\":false")),
            ["aa", "Ġ11", "Ġ", "Ġa", "Ċ"]
        )
        XCTAssertEqual(try tokens("aa", byteLevel("")), ["Ġaa"])
        XCTAssertEqual(try tokens(" a", byteLevel("")), ["Ġa"])
        XCTAssertEqual(try tokens("a<think>a", byteLevel("")), ["Ġa", "<think>", "Ġa"])
        XCTAssertEqual(try tokens("", byteLevel("")), [])
    }

    func testDigits() throws {
        for (individual, expected) in [(true, ["a", "1", "1", "a"]), (false, ["a", "11", "a"])] {
            let digits = "{\"type\":\"Digits\",\"individual_digits\":\(individual)}"
            let bytes = "{\"type\":\"ByteLevel\",\"add_prefix_space\":false,\"use_regex\":false}"
            let sequence = "{\"type\":\"Sequence\",\"pretokenizers\":[\(digits),\(bytes)]}"
            XCTAssertEqual(try tokens("a11a", sequence), expected)
        }
    }

    /// What Oniguruma means, where ICU would do something else with the same letters.
    func testPatternsMeanWhatTheyWereWrittenFor() throws {
        let cases: [(pattern: String, text: String, matches: [String])] = [
            ("\\s", "a\u{85}\u{B}\u{1C}\u{A0}\u{200B}b", ["\u{85}", "\u{B}", "\u{A0}"]),
            ("[^\\S]", "a\u{85}\u{B}\u{1C}b", ["\u{85}", "\u{B}"]),
            ("\\h+", "xa9 F", ["a9", "F"]), ("\\H", "a9 F", [" "]), ("\\v", "\u{B}\n\r", ["\u{B}"]),
            ("\\d+", "1٣½", ["1٣"]), ("\\w+", "a_½\u{301}-", ["a_½\u{301}"]), ("[\\w]+", "a½", ["a"]),
            ("\\W", "a½-", ["-"]), ("\\b.", "a-", ["a", "-"]), ("\\B.", "ab", ["b"]),
            ("(?m:a.)", "a\nab", ["a\n", "ab"]), ("a.", "a\na\rb", ["a\r"]), ("^a", "a\na\ra", ["a", "a"]),
            ("a$", "a\na", ["a", "a"]), ("\\p{^L}", "a1", ["1"]), ("\\P{^L}", "a1", ["a"]),
            ("(?i:ſ|k)", "sSK\u{212A}", ["s", "S", "K", "\u{212A}"]), ("(?i)A", "aA", ["a", "A"]),
            ("a++|[^a]?+b", "aabb", ["aa", "bb"]), ("\\x41|\\x{1F600}|\\u00e9", "A😀é", ["A", "😀", "é"]),
            ("[a&&[^b]]|[[:alpha:]&&[b]]", "ab", ["a", "b"]), ("é", "e\u{301}é", ["é"]),
            ("a{2}|b{1,}?", "aabb", ["aa", "b", "b"]), ("😀.", "😀😀😀", ["😀😀"]),
        ]
        for (pattern, text, matches) in cases {
            var fixture = TokenizerFixture()
            fixture.preTokenizer = TokenizerFixture.split(pattern, "Removed", invert: true)
            fixture.model = "\"ignore_merges\":true,"
            for match in Set(matches.map(TokenizerFixture.written)) where match.count > 1 {
                if !fixture.tokens.contains(where: { $0.text == match }) {
                    fixture.tokens.append((match, fixture.tokens.count))
                }
            }
            let expected = matches.map(TokenizerFixture.written)
            XCTAssertEqual(try fixture.tokenizer().tokens(text), expected, pattern)
        }
    }

    func testPatternsWithoutSureMeaningAreRefused() {
        let patterns = [
            "(unclosed[", "(", "[a", "a)", "*", "\\", "\\q", "\\0", "\\x", "\\x{41", "\\xC3", "\\u00", "\\pL",
            "\\p{",
            "\\p{Nonsense}", "\\p{Punct}", "\\p{Word}", "[[:punct:]]", "[[:nonsense:]]", "[]a]", "[a--b]",
            "[\\b]",
            "[\\A]", "(?s:a)", "(?x) a", "(?im", "a(?i)b", "(?~a)", "a{1,2}+", "a{2}?", "a{,2}", "a{2}*", "{",
            "a{x}",
            "\\K", "\\R", "\\X", "\\N", "\\G\\g<1>", "(?<!a+)b",
        ]
        for pattern in patterns {
            var fixture = TokenizerFixture()
            fixture.preTokenizer = TokenizerFixture.split(pattern)
            assertError(.tokenizer(file: "tokenizer.json", .invalidPattern(pattern)), pattern) {
                try fixture.tokenizer()
            }
        }
    }
}

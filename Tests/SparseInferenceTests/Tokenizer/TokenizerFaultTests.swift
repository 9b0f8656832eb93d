import Foundation
import SparseInference
import XCTest

/// Every way a file can lie is refused, each by its own fault.
final class TokenizerFaultTests: XCTestCase {
    private func assertFault(
        _ fault: TokenizerFault,
        line: UInt = #line,
        _ change: (inout TokenizerFixture) -> Void
    ) {
        var fixture = TokenizerFixture()
        change(&fixture)
        assertError(.tokenizer(file: "tokenizer.json", fault), line: line) { try fixture.tokenizer() }
    }

    /// Checks that a whole file of this text is refused.
    private func assertFault(_ fault: TokenizerFault, text: String, line: UInt = #line) {
        assertError(.tokenizer(file: "tokenizer.json", fault), line: line) {
            try Tokenizer(tokenizer: JSONValue(parsing: Array(text.utf8)))
        }
    }

    func testShapes() {
        assertFault(.wrongType(field: "the file", expected: "an object", found: "an array of 0"), text: "[]")
        assertFault(.missingField("model"), text: "{}")
        assertFault(
            .wrongType(field: "model", expected: "an object", found: "null"),
            text: "{\"model\":null}"
        )
        assertFault(.missingField("model.vocab"), text: "{\"model\":{}}")
        assertFault(
            .wrongType(field: "model.vocab", expected: "an object", found: "null"),
            text: "{\"model\":{\"vocab\":null}}"
        )
        assertFault(
            .unsupported(field: "version", found: "\"2.0\""),
            text: "{\"version\":\"2.0\",\"model\":{}}"
        )
        assertFault(.missingByteToken(0), text: "{\"model\":{\"vocab\":{},\"merges\":[]}}")
    }

    func testModelVariants() {
        for (member, field, found) in [
            ("\"type\":\"Bogus\"", "type", "\"Bogus\""), ("\"type\":\"Unigram\"", "type", "\"Unigram\""),
            ("\"dropout\":0.1", "dropout", "0.1"), ("\"dropout\":\"x\"", "dropout", "\"x\""),
            ("\"continuing_subword_prefix\":\"##\"", "continuing_subword_prefix", "\"##\""),
            ("\"end_of_word_suffix\":\"</w>\"", "end_of_word_suffix", "\"</w>\""),
        ] {
            assertFault(.unsupported(field: "model.\(field)", found: found)) { $0.model = member + "," }
        }
        assertFault(.wrongType(field: "model.ignore_merges", expected: "true or false", found: "1")) {
            $0.model = "\"ignore_merges\":1,"
        }
        var fixture = TokenizerFixture()
        fixture.model = "\"type\":\"BPE\",\"dropout\":null,\"unk_token\":null,\"end_of_word_suffix\":\"\","
        XCTAssertNoThrow(try fixture.tokenizer())
    }

    func testIDs() {
        let limit = 4 * (TokenizerFixture().tokens.count + 3) + 1024
        for id in [-1, -5, .min, limit, 1 << 40, .max] {
            assertFault(.idOutOfRange(token: "a", id: id, limit: limit)) { $0.tokens[0x61].id = id }
            assertFault(.idOutOfRange(token: "<end>", id: id, limit: limit)) {
                $0.added[1] = TokenizerFixture.added("<end>", id: id)
            }
        }
        assertFault(.duplicateID(0x62, first: "a", second: "b")) { $0.tokens[0x61].id = 0x62 }
        assertFault(.duplicateID(0x62, first: "b", second: "<end>")) {
            $0.added[1] = TokenizerFixture.added("<end>", id: 0x62)
        }
        assertFault(.conflictingIDs(token: "a", model: 0x61, added: 2000)) {
            $0.added[1] = TokenizerFixture.added("a", id: 2000)
        }
        let text = TokenizerFixture().text
        for (literal, found) in [("\"97\"", "\"97\""), ("97.5", "97.5"), ("1e2", "1e2"), ("null", "null")] {
            assertFault(
                .wrongType(field: "model.vocab.a", expected: "a whole number", found: found),
                text: replacing("\"a\":97", by: "\"a\":" + literal, in: text)
            )
        }
    }

    func testGapsStayBelowTheLimit() throws {
        var fixture = TokenizerFixture()
        let limit = 4 * (fixture.tokens.count + 3) + 1024
        fixture.added[2] = TokenizerFixture.added("<think>", id: limit - 1)
        let tokenizer = try fixture.tokenizer()
        XCTAssertEqual(tokenizer.encode("<think>"), [limit - 1])
        XCTAssertNil(tokenizer.token(for: limit - 2))
    }

    func testMissingBytes() {
        for byte in [0, 0x20, 0x61, 0x80, 0xBF, 0xC2, 0xF4] {
            assertFault(.missingByteToken(UInt8(byte))) {
                $0.tokens.removeAll { $0.id == byte }
                $0.model = "\"unk_token\":\"b\","
            }
        }
    }

    func testMerges() {
        assertFault(.mergeOfUnknownToken(index: 1, token: "qqq")) { $0.merges[1] = ("qqq", "a") }
        assertFault(.mergeOfUnknownToken(index: 1, token: "zzz")) { $0.merges[1] = ("a", "zzz") }
        assertFault(.mergeOfUnknownToken(index: 0, token: "<end>")) { $0.merges[0] = ("<end>", "a") }
        assertFault(.mergeOfUnknownToken(index: 0, token: "")) { $0.merges[0] = ("", "a") }
        assertFault(.mergeIntoUnknownToken(index: 0, token: "~~")) { $0.merges[0] = ("~", "~") }
        assertFault(.duplicateMerge(index: 2)) { $0.merges[2] = $0.merges[0] }
        let text = TokenizerFixture().text
        for merge in [
            "[\"a\"]", "[\"a\",\"a\",\"a\"]", "[\"a\",1]", "\"aa\"", "\"a a a\"", "7", "null", "{}",
        ] {
            assertFault(.malformedMerge(index: 0), text: replacing("[\"a\",\"a\"]", by: merge, in: text))
        }
        let members = TokenizerFixture().modelMembers
        let vocabulary = members.prefix(
            upTo: members.range(of: ",\"merges\"")?.lowerBound ?? members.endIndex
        )
        for (value, found) in [("7", "7"), ("null", "null"), ("{}", "an object of 0")] {
            assertFault(
                .wrongType(field: "model.merges", expected: "an array", found: found),
                text: "{\"model\":{\(vocabulary),\"merges\":\(value)}}"
            )
        }
    }

    func testAddedTokens() {
        assertFault(.missingField("added_tokens[1].id")) { $0.added[1] = "{\"content\":\"x\"}" }
        assertFault(.missingField("added_tokens[1].content")) { $0.added[1] = "{\"id\":7}" }
        assertFault(.wrongType(field: "added_tokens[0]", expected: "an object", found: "3")) {
            $0.added = ["3"]
        }
        assertFault(.wrongType(field: "added_tokens[0].special", expected: "true or false", found: "1")) {
            $0.added = ["{\"id\":2000,\"content\":\"x\",\"special\":1}"]
        }
        assertFault(.emptyAddedToken(id: 1001)) { $0.added[1] = TokenizerFixture.added("", id: 1001) }
        assertFault(.duplicateAddedToken("<end>")) { $0.added.append($0.added[1]) }
        let long = String(repeating: "x", count: 4097)
        assertFault(.addedTokenTooLong(id: 1001, byteCount: 4097, limit: 4096)) {
            $0.added[1] = TokenizerFixture.added(long, id: 1001)
        }
    }

    func testPreTokenizers() {
        let bytes = "{\"type\":\"ByteLevel\"}"
        func sequence(_ parts: String...) -> String {
            "{\"type\":\"Sequence\",\"pretokenizers\":[\(parts.joined(separator: ","))]}"
        }
        let path = "pre_tokenizer.pretokenizers[0]"
        for (value, fault) in [
            ("null", TokenizerFault.wrongType(field: "pre_tokenizer", expected: "an object", found: "null")),
            (
                "{\"type\":\"Splitter9000\"}",
                .unsupported(field: "pre_tokenizer.type", found: "\"Splitter9000\"")
            ),
            (
                sequence("{\"type\":\"Metaspace\"}", bytes),
                .unsupported(field: "\(path).type", found: "\"Metaspace\"")
            ),
            (sequence("{}", bytes), .missingField("\(path).type")),
            (sequence(), .unsupported(field: "pre_tokenizer", found: "a sequence of nothing")),
            ("{\"type\":\"Sequence\"}", .missingField("pre_tokenizer.pretokenizers")),
            (
                TokenizerFixture.split("a", "Sideways"),
                .unsupported(field: "\(path).behavior", found: "\"Sideways\"")
            ),
            (
                TokenizerFixture.split("a", kind: "Glob"),
                .unsupported(field: "\(path).pattern", found: "\"Glob\"")
            ),
            (
                sequence("{\"type\":\"Split\",\"behavior\":\"Removed\",\"pattern\":{}}", bytes),
                .unsupported(field: "\(path).pattern", found: "an object of 0")
            ),
            (
                sequence("{\"type\":\"Split\",\"behavior\":\"Removed\",\"pattern\":\"a\"}", bytes),
                .wrongType(field: "\(path).pattern", expected: "an object", found: "\"a\"")
            ),
        ] {
            assertFault(fault) { $0.preTokenizer = value }
        }
        let digits = "{\"type\":\"Digits\"}"
        for value in [
            digits, sequence(bytes, digits), sequence(bytes, bytes), sequence(sequence(bytes), digits),
        ] {
            let found = "a sequence that does not end in its only ByteLevel"
            assertFault(.unsupported(field: "pre_tokenizer", found: found)) { $0.preTokenizer = value }
        }
    }

    func testOtherParts() {
        assertFault(.unsupported(field: "normalizer.type", found: "\"Lowercase\"")) {
            $0.normalizer = "{\"type\":\"Lowercase\"}"
        }
        assertFault(.missingField("decoder")) { $0.decoder = "null" }
        assertFault(.unsupported(field: "decoder.type", found: "\"ROT13\"")) {
            $0.decoder = "{\"type\":\"ROT13\"}"
        }
        let bytes = "{\"type\":\"ByteLevel\"}"
        assertFault(.unsupported(field: "decoder", found: "2 decoders in a row")) {
            $0.decoder = "{\"type\":\"Sequence\",\"decoders\":[\(bytes),\(bytes)]}"
        }
        assertFault(.unsupported(field: "post_processor.type", found: "\"BertProcessing\"")) {
            $0.postProcessor = "{\"type\":\"BertProcessing\"}"
        }
    }

    func testTemplates() {
        let text = "{\"Sequence\":{\"id\":\"A\"}}"
        func template(_ single: String, _ table: String = "{}") -> String {
            "{\"type\":\"TemplateProcessing\",\"single\":[\(single)],\"special_tokens\":\(table)}"
        }
        let special = "{\"SpecialToken\":{\"id\":\"B\"}}"
        for (value, fault) in [
            (
                template(""),
                TokenizerFault.unsupported(field: "post_processor.single", found: "an array of 0")
            ),
            (
                template("\(text),\(text)"),
                .unsupported(field: "post_processor.single[1].Sequence", found: "an object of 1")
            ),
            (
                template("\(text),{\"Text\":{}}"),
                .unsupported(field: "post_processor.single[1]", found: "\"Text\"")
            ),
            (template("\(special),\(text)"), .missingField("post_processor.special_tokens.B")),
            (
                template("\(special),\(text)", "{\"B\":{\"ids\":[77777]}}"),
                .unknownToken(field: "post_processor.special_tokens.B.ids[0]", token: "77777")
            ),
            (
                template("\(special),\(text)", "{\"B\":{\"ids\":[\"x\"]}}"),
                .wrongType(
                    field: "post_processor.special_tokens.B.ids[0]",
                    expected: "a whole number",
                    found: "\"x\""
                )
            ),
            (
                "{\"type\":\"Sequence\",\"processors\":[\(template(text)),\(template(text))]}",
                .unsupported(field: "post_processor.processors[1]", found: "a second template")
            ),
        ] {
            assertFault(fault) { $0.postProcessor = value }
        }
    }

    func testDescriptionsDiffer() {
        let faults: [TokenizerFault] = [
            .missingField("f"), .wrongType(field: "f", expected: "a", found: "b"),
            .unsupported(field: "f", found: "b"), .idOutOfRange(token: "t", id: -1, limit: 9),
            .duplicateID(1, first: "a", second: "b"), .duplicateAddedToken("a"),
            .conflictingIDs(token: "a", model: 1, added: 2), .emptyAddedToken(id: 1),
            .addedTokenTooLong(id: 1, byteCount: 2, limit: 1), .missingByteToken(7),
            .malformedMerge(index: 1),
            .mergeOfUnknownToken(index: 1, token: "a"), .mergeIntoUnknownToken(index: 1, token: "a"),
            .duplicateMerge(index: 1), .invalidPattern("("), .unknownToken(field: "f", token: "a"),
            .unknownID(1),
        ]
        XCTAssertEqual(Set(faults.map(\.description)).count, faults.count)
        XCTAssertEqual("\(faults[3])", "token \"t\" has id -1, expected 0 to 8")
    }

    /// Damage anywhere in the file opens or is refused; it never ends the process.
    func testDamagedFilesNeverTrap() throws {
        let bytes = Array(TokenizerFixture().text.utf8)
        var generator = TextGenerator(seed: 4)
        let signs = Array("0123456789-[]{},:\"\\e.()*+?^$|".utf8)
        for _ in 0..<300 {
            var damaged = bytes
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                guard let place = damaged.indices.randomElement(using: &generator) else { break }
                switch Int.random(in: 0..<4, using: &generator) {
                case 0: damaged[place] = signs.randomElement(using: &generator) ?? 0
                case 1: damaged.remove(at: place)
                case 2: damaged.insert(damaged[place], at: place)
                default: damaged[place] = .random(in: .min ... .max, using: &generator)
                }
            }
            guard let value = try? JSONValue(parsing: damaged),
                let tokenizer = try? Tokenizer(tokenizer: value)
            else { continue }
            _ = tokenizer.encode("a11 aa\n<think>é")
        }
    }

    /// The text with the first of some parts changed.
    private func replacing(_ part: String, by other: String, in text: String) -> String {
        guard let range = text.range(of: part) else { return text }
        return text.replacingCharacters(in: range, with: other)
    }
}

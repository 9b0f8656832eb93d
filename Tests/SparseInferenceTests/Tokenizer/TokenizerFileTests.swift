import Foundation
import SparseInference
import XCTest

/// The parts of the two files that are not about words.
final class TokenizerFileTests: XCTestCase {
    private static func template(_ single: String) -> String {
        "{\"type\":\"TemplateProcessing\",\"single\":[\(single)],\"pair\":[],\"special_tokens\":{"
            + "\"B\":{\"id\":\"B\",\"ids\":[1000],\"tokens\":[\"<begin>\"]},"
            + "\"E\":{\"id\":\"E\",\"ids\":[1001,1002],\"tokens\":[\"<end>\",\"<think>\"]}}}"
    }

    private static let text = "{\"Sequence\":{\"id\":\"A\",\"type_id\":0}}"
    private static let begin = "{\"SpecialToken\":{\"id\":\"B\",\"type_id\":0}}"
    private static let end = "{\"SpecialToken\":{\"id\":\"E\",\"type_id\":0}}"

    func testTemplates() throws {
        var fixture = TokenizerFixture()
        let template = TokenizerFileTests.template([Self.begin, Self.text, Self.end].joined(separator: ","))
        for processor in [
            template, "{\"type\":\"Sequence\",\"processors\":[{\"type\":\"ByteLevel\"},\(template)]}",
        ] {
            fixture.postProcessor = processor
            let tokenizer = try fixture.tokenizer(
                configuration: "{\"bos_token\":\"<end>\",\"add_bos_token\":true}"
            )
            XCTAssertEqual(tokenizer.encode("a", addingSpecialTokens: true), [1000, 0x61, 1001, 1002])
            XCTAssertEqual(tokenizer.encode("", addingSpecialTokens: true), [1000, 1001, 1002])
            XCTAssertEqual(tokenizer.encode("a"), [0x61])
        }
    }

    func testConfiguration() throws {
        let fixture = TokenizerFixture()
        let plain = try fixture.tokenizer()
        XCTAssertNil(plain.beginToken)
        XCTAssertNil(plain.endToken)
        XCTAssertEqual(plain.encode("a", addingSpecialTokens: true), [0x61])
        let tokenizer = try fixture.tokenizer(
            configuration: "{\"bos_token\":{\"__type\":\"AddedToken\",\"content\":\"<begin>\"},"
                + "\"eos_token\":\"<end>\",\"add_bos_token\":true,\"unk_token\":null}"
        )
        XCTAssertEqual(tokenizer.beginToken, 1000)
        XCTAssertEqual(tokenizer.endToken, 1001)
        XCTAssertEqual(tokenizer.encode("a", addingSpecialTokens: true), [1000, 0x61])
        let both = try fixture.tokenizer(
            configuration:
                "{\"bos_token\":null,\"add_bos_token\":true,\"eos_token\":\"<end>\",\"add_eos_token\":true}"
        )
        XCTAssertEqual(both.encode("a", addingSpecialTokens: true), [0x61, 1001])
    }

    func testChatTemplate() throws {
        let fixture = TokenizerFixture()
        XCTAssertNil(try fixture.tokenizer(configuration: #"{"chat_template": null}"#).chatTemplate)
        let named = #"{"name": "tool_use", "template": "T"}, {"name": "default", "template": "D"}"#
        for (value, template) in [(#""S""#, "S"), ("[\(named)]", "D"), ("[]", nil)] {
            let tokenizer = try fixture.tokenizer(configuration: "{\"chat_template\": \(value)}")
            XCTAssertEqual(tokenizer.chatTemplate, template, value)
        }
        assertError(
            .tokenizer(
                file: "tokenizer_config.json",
                .wrongType(field: "chat_template", expected: "a string", found: "1")
            )
        ) { try fixture.tokenizer(configuration: #"{"chat_template": 1}"#) }
        // A file of its own comes first.
        let folder = try TemporaryFolder()
        try folder.write(fixture.text, as: "tokenizer.json")
        try folder.write(#"{"chat_template": "S"}"#, as: "tokenizer_config.json")
        try folder.write("F", as: "chat_template.jinja")
        XCTAssertEqual(try Tokenizer(contentsOf: folder.url).chatTemplate, "F")
    }

    func testNormalizers() throws {
        let text = "ﬁe\u{301}é\u{FFAA}"
        let cases = [
            ("null", text), ("{\"type\":\"Sequence\",\"normalizers\":[]}", text),
            ("{\"type\":\"NFC\"}", "ﬁéé\u{FFAA}"), ("{\"type\":\"NFD\"}", "ﬁe\u{301}e\u{301}\u{FFAA}"),
            ("{\"type\":\"NFKC\"}", "fiéé\u{11B0}"), ("{\"type\":\"NFKD\"}", "fie\u{301}e\u{301}\u{11B0}"),
            (
                "{\"type\":\"Sequence\",\"normalizers\":[{\"type\":\"NFKD\"},{\"type\":\"NFC\"}]}",
                "fiéé\u{11B0}"
            ),
        ]
        for (normalizer, expected) in cases {
            var fixture = TokenizerFixture()
            fixture.normalizer = normalizer
            let tokenizer = try fixture.tokenizer()
            XCTAssertEqual(
                Array(try tokenizer.decode(tokenizer.encode(text)).utf8),
                Array(expected.utf8),
                normalizer
            )
        }
    }

    func testHangulIsComposedWithItsLastLetter() throws {
        var fixture = TokenizerFixture()
        fixture.normalizer = "{\"type\":\"NFKC\"}"
        let tokenizer = try fixture.tokenizer()
        XCTAssertEqual(
            Array(try tokenizer.decode(tokenizer.encode("\u{C5B4}\u{FFAA}")).unicodeScalars),
            ["\u{C5BD}"]
        )
    }

    func testMergesAsLines() throws {
        let fixture = TokenizerFixture()
        let lines = fixture.merges.map { TokenizerFixture.quoted("\($0.left) \($0.right)") }
        let pairs = fixture.merges.map {
            "[\(TokenizerFixture.quoted($0.left)),\(TokenizerFixture.quoted($0.right))]"
        }
        let text = fixture.text.replacingOccurrences(
            of: pairs.joined(separator: ","),
            with: lines.joined(separator: ",")
        )
        XCTAssertNotEqual(text, fixture.text)
        let tokenizer = try Tokenizer(tokenizer: JSONValue(parsing: Array(text.utf8)))
        XCTAssertEqual(tokenizer.tokens("aa11 bcdbcd"), ["aa", "11", "Ġ", "bcdbcd"])
    }

    func testWholeTokens() throws {
        var fixture = TokenizerFixture()
        fixture.tokens.append(("xyz", fixture.tokens.count))
        XCTAssertEqual(try fixture.tokenizer().tokens("xyz"), ["x", "y", "z"])
        fixture.model = "\"ignore_merges\":true,"
        XCTAssertEqual(try fixture.tokenizer().tokens("xyz xyzx"), ["xyz", "Ġ", "x", "y", "z", "x"])
    }

    func testBytesThatUTF8NeverUsesMayBeMissing() throws {
        var fixture = TokenizerFixture()
        fixture.tokens.removeAll { [0xC0, 0xC1, 0xF5, 0xFF].contains($0.id) }
        let tokenizer = try fixture.tokenizer()
        XCTAssertEqual(try tokenizer.decode(tokenizer.encode("é\u{10FFFF}")), "é\u{10FFFF}")
    }

    func testFiles() throws {
        let folder = try TemporaryFolder()
        assertError(.checkpoint(file: "tokenizer.json", .missingFile)) {
            try Tokenizer(contentsOf: folder.url)
        }
        let file = try folder.write(TokenizerFixture().text, as: "tokenizer.json")
        XCTAssertNil(try Tokenizer(contentsOf: folder.url).beginToken)
        try folder.write(
            "{\"bos_token\":\"<begin>\",\"model_max_length\":Infinity}",
            as: "tokenizer_config.json"
        )
        XCTAssertEqual(try Tokenizer(contentsOf: folder.url).beginToken, 1000)
        XCTAssertEqual(try Tokenizer(contentsOf: file).beginToken, 1000)

        try folder.write("{\"bos_token\":\"<start>\"}", as: "tokenizer_config.json")
        assertError(
            .tokenizer(file: "tokenizer_config.json", .unknownToken(field: "bos_token", token: "<start>"))
        ) { try Tokenizer(contentsOf: folder.url) }
        try folder.write("[]", as: "tokenizer_config.json")
        assertError(
            .tokenizer(
                file: "tokenizer_config.json",
                .wrongType(field: "the file", expected: "an object", found: "an array of 0")
            )
        ) { try Tokenizer(contentsOf: folder.url) }
        try folder.write("", as: "tokenizer.json")
        assertError(.malformedJSON(file: "tokenizer.json", .unexpectedEnd)) {
            try Tokenizer(contentsOf: folder.url)
        }
        try folder.write(Array("{\"v\":\"".utf8) + [0xFF], as: "tokenizer.json")
        XCTAssertThrowsError(try Tokenizer(contentsOf: file))
    }
}

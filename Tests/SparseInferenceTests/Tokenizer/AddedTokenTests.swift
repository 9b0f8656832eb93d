import SparseInference
import XCTest

/// Added tokens are found in the text, special ones can be left out of it again.
final class AddedTokenTests: XCTestCase {
    /// A tokenizer with these added tokens, ids from 1000 on.
    private func tokenizer(_ added: [(content: String, flags: String)], normalizer: String = "null") throws
        -> Tokenizer
    {
        var fixture = TokenizerFixture()
        fixture.normalizer = normalizer
        fixture.added = added.enumerated().map { index, token in
            TokenizerFixture.added(token.content, id: 1000 + index, token.flags)
        }
        return try fixture.tokenizer()
    }

    func testLeftmostThenLongest() throws {
        let tokenizer = try tokenizer([("<a>", ""), ("<a><b>", ""), ("b>", ""), ("<a", ""), ("><", "")])
        XCTAssertEqual(tokenizer.tokens("<a><b>"), ["<a><b>"])
        XCTAssertEqual(tokenizer.tokens("<a><"), ["<a>", "<"])
        XCTAssertEqual(tokenizer.tokens("<a1b><"), ["<a", "1", "b>", "<"])
        XCTAssertEqual(tokenizer.tokens("a><b"), ["a", "><", "b"])
    }

    func testGivenTextIsSearchedBeforeNormalized() throws {
        let form = "{\"type\":\"NFC\"}"
        let flags = ",\"normalized\":true"
        let tokenizer = try tokenizer(
            [("e\u{301}", ",\"normalized\":false"), ("ẅ", flags)],
            normalizer: form
        )
        XCTAssertEqual(tokenizer.encode("e\u{301}é"), [1000, 0xC3, 0xA9])
        XCTAssertEqual(tokenizer.encode("w\u{308}ẅ"), [1001, 1001])
        let compatible = try self.tokenizer([("ﬁ", flags)], normalizer: "{\"type\":\"NFKC\"}")
        XCTAssertEqual(compatible.encode("fiﬁ"), [1000, 1000])
        XCTAssertEqual(try compatible.decode([1000]), "fi")
    }

    func testWhiteSpaceAround() throws {
        let tokenizer = try tokenizer([("<l>", ",\"lstrip\":true"), ("<r>", ",\"rstrip\":true"), ("<p>", "")])
        XCTAssertEqual(tokenizer.tokens("a \n<l> a"), ["a", "<l>", "Ġ", "a"])
        XCTAssertEqual(tokenizer.tokens("a <r>\u{3000} a"), ["a", "Ġ", "<r>", "a"])
        XCTAssertEqual(tokenizer.tokens("<r>  <l>"), ["<r>", "<l>"])
        XCTAssertEqual(tokenizer.tokens(" <p> "), ["Ġ", "<p>", "Ġ"])
        XCTAssertEqual(tokenizer.tokens(" <l>"), ["<l>"])
        XCTAssertEqual(tokenizer.tokens("<r> "), ["<r>"])
    }

    func testSingleWords() throws {
        let tokenizer = try tokenizer([("aab", ",\"single_word\":true")])
        for text in ["aab", " aab ", "-aab.", "\u{FFFD}aab", "😀aab😀"] {
            XCTAssertTrue(tokenizer.encode(text).contains(1000), text)
        }
        for text in ["aaab", "1aab", "_aab", "aabé", "aab\u{301}", "中aab", "aab\u{200D}", "aab٣", "aabaab"] {
            XCTAssertFalse(tokenizer.encode(text).contains(1000), text)
        }
    }

    func testEquivalentSpellingsAreDifferentTokens() throws {
        let tokenizer = try tokenizer([("ế", ""), ("e\u{302}\u{301}", ""), ("\u{3A9}", ""), ("\u{2126}", "")])
        for (index, text) in ["ế", "e\u{302}\u{301}", "\u{3A9}", "\u{2126}"].enumerated() {
            XCTAssertEqual(tokenizer.encode(text), [1000 + index])
            XCTAssertEqual(tokenizer.id(of: text), 1000 + index)
            XCTAssertEqual(tokenizer.token(for: 1000 + index).map { Array($0.utf8) }, Array(text.utf8))
        }
        XCTAssertNil(tokenizer.id(of: "ê\u{301}"))
        XCTAssertEqual(tokenizer.encode("ê\u{301}"), Array("ê\u{301}".utf8).map(Int.init))
    }

    func testSpecialTokensAreSkipped() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        let ids = tokenizer.encode("<begin>a<think>1<end>")
        XCTAssertEqual(ids, [1000, 0x61, 1002, 0x31, 1001])
        XCTAssertEqual(try tokenizer.decode(ids), "<begin>a<think>1<end>")
        XCTAssertEqual(try tokenizer.decode(ids, skippingSpecialTokens: true), "a<think>1")
    }

    func testWrittenBytesOfAddedTokens() throws {
        // A token all of whose characters write bytes is decoded by them, added or not.
        let tokenizer = try tokenizer([("Ġx", ""), ("Ġ｜", "")])
        XCTAssertEqual(try tokenizer.decode([1000, 1001]), " xĠ｜")
    }

    func testVocabulary() throws {
        var fixture = TokenizerFixture()
        fixture.added.append(
            TokenizerFixture.added("bcd", id: fixture.tokens.first { $0.text == "bcd" }?.id ?? -1)
        )
        let tokenizer = try fixture.tokenizer()
        XCTAssertEqual(tokenizer.vocabularySize, fixture.tokens.count + 3)
        XCTAssertEqual(tokenizer.id(of: "Ġ"), 0x20)
        XCTAssertEqual(tokenizer.token(for: 0x0A), "Ċ")
        XCTAssertEqual(tokenizer.id(of: "<think>"), 1002)
        XCTAssertEqual(tokenizer.tokens("bcdbcd"), ["bcd", "bcd"])
    }
}

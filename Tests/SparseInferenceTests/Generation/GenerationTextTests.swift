import SparseInference
import XCTest

/// The text of a continuation, character by character.
final class GenerationTextTests: XCTestCase {
    /// The texts of a continuation of `<begin>` by these tokens, all different.
    private func texts(
        _ tokens: [Int],
        maxTokens: Int? = nil,
        stopsAtEnd: Bool = true
    ) async throws -> [String] {
        let model = try TinyCheckpoint.reciting([TinyCheckpoint.beginToken] + tokens).model()
        let options = GenerationOptions(maxTokens: maxTokens ?? tokens.count, stopsAtEnd: stopsAtEnd)
        // An empty prompt is the token that begins a text.
        let pieces = try await model.generate("", options: options).pieces()
        XCTAssertEqual(pieces.map(\.token), Array(tokens.prefix(pieces.count)))
        return pieces.map(\.text)
    }

    func testCharactersAreNeverSplit() async throws {
        let bytes = "zé😀!".utf8.map { Int($0) }
        let found = try await texts(bytes + [TinyCheckpoint.endToken])
        XCTAssertEqual(found, ["z", "", "é", "", "", "", "😀", "!", ""])
    }

    func testBrokenCharactersAreReplaced() async throws {
        let (end, mark) = (TinyCheckpoint.endToken, "\u{FFFD}")
        let cases: [(tokens: [Int], texts: [String])] = [
            ([0xC3, 0x41], ["", mark + "A"]), ([0xF0, 0x9F, 0x98], ["", "", mark]),
            ([0xC3, end], ["", mark]), ([0xC3, 0xC4, 0xA9], ["", mark, "\u{129}"]),
            ([0xFF, 0x42], [mark, "B"]),
            ([0x41, 0xE2, 0x82], ["A", "", mark]),
        ]
        for (tokens, expected) in cases {
            let found = try await texts(tokens)
            XCTAssertEqual(found, expected, "\(tokens)")
        }
        let cut = try await texts("😀".utf8.map { Int($0) }, maxTokens: 2)
        XCTAssertEqual(cut, ["", mark])
    }

    func testTheEndHasTextOnlyWhenItDoesNotEnd() async throws {
        let tokens = [0x41, TinyCheckpoint.endToken, 0x42]
        let (stopped, ignored) = (try await texts(tokens), try await texts(tokens, stopsAtEnd: false))
        XCTAssertEqual(stopped, ["A", ""])
        XCTAssertEqual(ignored, ["A", "<end>", "B"])
    }

    func testTokensBeyondTheTokenizerHaveNoText() async throws {
        let found = try await texts([0x41, 258, 0xC3, 259, 0xA9])
        XCTAssertEqual(found, ["A", "", "", "", "é"])
    }

    func testTextsJoinedAreTheDecodedTokens() async throws {
        let model = try TinyCheckpoint.speaking().model()
        let tokenizer = try XCTUnwrap(model.tokenizer)
        for seed in 0..<6 as Range<UInt64> {
            let options = GenerationOptions(
                maxTokens: 40,
                sampling: .random(temperature: 1.5, seed: seed),
                stopsAtEnd: false
            )
            let pieces = try await model.generate("Grüße", options: options).pieces()
            let known = pieces.map(\.token).filter { $0 < tokenizer.vocabularySize }
            let joined = pieces.flatMap { Array($0.text.utf8) }
            XCTAssertEqual(joined, Array(try tokenizer.decode(known).utf8), "seed \(seed)")
        }
    }

    func testATextPromptIsItsTokens() async throws {
        let model = try TinyCheckpoint.speaking().model()
        let tokens = [TinyCheckpoint.beginToken] + "Grüße".utf8.map { Int($0) }
        let options = GenerationOptions(maxTokens: 5, stopsAtEnd: false)
        let (text, ids) = (
            try await model.generate("Grüße", options: options).pieces(),
            try await model.generate(tokens: tokens, options: options).pieces()
        )
        XCTAssertEqual(text.map(\.token), ids.map(\.token))
        XCTAssertEqual(text.first?.statistics.promptTokens, tokens.count)
    }

    func testAModelWithoutTokenizer() async throws {
        let model = try TinyCheckpoint().model()
        XCTAssertNil(model.tokenizer)
        assertError(.request(.noTokenizer)) { try model.generate("text") }
        let options = GenerationOptions(maxTokens: 5, stopsAtEnd: false)
        let pieces = try await model.generate(tokens: [1, 2], options: options).pieces()
        XCTAssertEqual(pieces.map(\.text), ["", "", "", "", ""])
    }
}

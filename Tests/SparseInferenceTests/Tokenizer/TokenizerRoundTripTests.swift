import SparseInference
import XCTest

/// Text comes back from its ids, whole or piece by piece.
final class TokenizerRoundTripTests: XCTestCase {
    func testDecodeInvertsEncode() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        var generator = TextGenerator(seed: 1)
        for _ in 0..<2000 {
            let text = generator.text()
            let decoded = try tokenizer.decode(tokenizer.encode(text))
            XCTAssertTrue(decoded.utf8.elementsEqual(text.utf8), "\(text.debugDescription)")
        }
        XCTAssertEqual(tokenizer.encode(""), [])
        XCTAssertEqual(try tokenizer.decode([]), "")
    }

    func testMergingEqualsTheNaiveLoop() throws {
        var fixture = TokenizerFixture()
        fixture.preTokenizer = TokenizerFixture.split("[^\\s\\S]")
        var generator = TextGenerator(seed: 2)
        // Merges in an order that builds long tokens out of parts of every age.
        let letters = ["x", "y", "z", "é"].map(TokenizerFixture.written)
        fixture.merges.removeAll()
        fixture.merge("Ã", "©")
        var parts = letters
        while fixture.merges.count < 60 {
            guard let left = parts.randomElement(using: &generator),
                let right = parts.randomElement(using: &generator), (left + right).count < 14,
                !fixture.merges.contains(where: { $0 == (left, right) })
            else { continue }
            fixture.merge(left, right)
            parts.append(left + right)
        }
        let tokenizer = try fixture.tokenizer()
        for length in [0, 1, 2, 3, 5, 8, 13, 40, 100, 400] {
            for _ in 0..<20 {
                let word = (0..<length).map { _ in
                    ["x", "y", "z", "é"].randomElement(using: &generator) ?? "x"
                }.joined()
                XCTAssertEqual(tokenizer.tokens(word), merged(word, by: fixture.merges), word)
            }
        }
    }

    /// The definition: join the leftmost occurrence of the earliest merge until no merge applies.
    private func merged(_ word: String, by merges: [(left: String, right: String)]) -> [String] {
        var tokens = word.utf8.map { TokenizerFixture.alphabet[Int($0)] }
        next: while true {
            for merge in merges {
                for place in tokens.indices.dropLast()
                where tokens[place] == merge.left && tokens[place + 1] == merge.right {
                    tokens.replaceSubrange(place...place + 1, with: [merge.left + merge.right])
                    continue next
                }
            }
            return tokens
        }
    }

    func testLongWordsTakeNoQuadraticTime() throws {
        var fixture = TokenizerFixture()
        fixture.preTokenizer = TokenizerFixture.split("[^\\s\\S]")
        let tokenizer = try fixture.tokenizer()
        let word = String(repeating: "bcd", count: 100_000)
        XCTAssertEqual(tokenizer.encode(word).count, 50_000)
    }

    func testOneTokenizerServesManyTasks() async throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        var generator = TextGenerator(seed: 5)
        let texts = (0..<200).map { _ in generator.text() }
        let expected = texts.map { tokenizer.encode($0) }
        await withTaskGroup(of: [[Int]].self) { group in
            for _ in 0..<4 { group.addTask { texts.map { tokenizer.encode($0) } } }
            for await ids in group { XCTAssertEqual(ids, expected) }
        }
    }

    func testInvalidBytesDecodeByMaximalParts() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        let cases: [([Int], String)] = [
            ([0xE4, 0xB8, 0xAD], "中"), ([0xE4, 0xB8], "\u{FFFD}"), ([0xE4, 0xB8, 0x41], "\u{FFFD}A"),
            ([0xF0, 0x9F, 0x98], "\u{FFFD}"), ([0xF0, 0x9F, 0x98, 0xF0], "\u{FFFD}\u{FFFD}"),
            ([0xE0, 0x80], "\u{FFFD}\u{FFFD}"), ([0xED, 0xA0, 0x80], "\u{FFFD}\u{FFFD}\u{FFFD}"),
            ([0xF4, 0x90], "\u{FFFD}\u{FFFD}"), ([0xC0, 0xAF], "\u{FFFD}\u{FFFD}"), ([0xFF], "\u{FFFD}"),
            ([0x80, 0x80], "\u{FFFD}\u{FFFD}"), ([0xC3, 0x1002, 0xA9], "\u{FFFD}<think>\u{FFFD}"),
        ]
        for (bytes, text) in cases {
            let ids = bytes.map { $0 == 0x1002 ? 1002 : $0 }
            XCTAssertEqual(Array(try tokenizer.decode(ids).unicodeScalars), Array(text.unicodeScalars))
        }
    }

    func testStreamingEqualsBatchAtEverySplit() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        var generator = TextGenerator(seed: 3)
        for round in 0..<400 {
            var ids = tokenizer.encode(generator.text())
            if round.isMultiple(of: 2) { ids.shuffle(using: &generator) }
            if round.isMultiple(of: 3) {
                ids += (0..<12).map { _ in Int.random(in: 128..<256, using: &generator) }
            }
            for skipping in [false, true] {
                let whole = try tokenizer.decode(ids, skippingSpecialTokens: skipping)
                var decoder = StreamingDecoder(tokenizer, skippingSpecialTokens: skipping)
                var text = ""
                for (count, id) in ids.enumerated() {
                    var ending = decoder
                    let sofar = try tokenizer.decode(Array(ids[..<count]), skippingSpecialTokens: skipping)
                    XCTAssertEqual(Array((text + ending.finish()).utf8), Array(sofar.utf8))
                    text += try decoder.append(id)
                    XCTAssertTrue(whole.utf8.starts(with: text.utf8), "\(ids)")
                }
                text += decoder.finish()
                XCTAssertEqual(Array(text.utf8), Array(whole.utf8), "\(ids)")
                XCTAssertEqual(decoder.finish(), "")
            }
        }
    }

    func testStreamingHoldsBackNoMoreThanItMust() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        var decoder = StreamingDecoder(tokenizer)
        XCTAssertEqual(
            try [0x41, 0xF0, 0x9F, 0x98, 0x80].map { try decoder.append($0) },
            ["A", "", "", "", "😀"]
        )
        XCTAssertEqual(try [0xE4, 0xB8, 0x41].map { try decoder.append($0) }, ["", "", "\u{FFFD}A"])
        XCTAssertEqual(try [0xE0, 0x80].map { try decoder.append($0) }, ["", "\u{FFFD}\u{FFFD}"])
    }

    func testUnknownIDs() throws {
        let tokenizer = try TokenizerFixture().tokenizer()
        for id in [-1, 999, 1003, .max, .min] {
            XCTAssertNil(tokenizer.token(for: id))
            assertError(.tokenizer(file: "tokenizer.json", .unknownID(id))) {
                try tokenizer.decode([65, id])
            }
            var decoder = StreamingDecoder(tokenizer)
            XCTAssertEqual(try decoder.append(0xC3), "")
            assertError(.tokenizer(file: "tokenizer.json", .unknownID(id))) { try decoder.append(id) }
            XCTAssertEqual(try decoder.append(0xA9), "é")
        }
    }
}

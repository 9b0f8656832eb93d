import SparseInference
import XCTest

/// What the reader refuses, and where it says the fault is.
final class JSONFaultTests: XCTestCase {
    private func fault(_ bytes: [UInt8], maximumDepth: Int = 128) -> JSONFault? {
        do {
            _ = try JSONValue(parsing: bytes, maximumDepth: maximumDepth)
            return nil
        } catch {
            return error
        }
    }

    private func fault(_ text: String) -> JSONFault? {
        fault(Array(text.utf8))
    }

    func testRefusesTextsThatStopEarly() {
        let text = #"{"a": [true, null, "b\n\u0041"], "c": {"d": -1.5e3}}"#
        XCTAssertNil(fault(text))
        for count in 0..<text.utf8.count {
            let found = fault(Array(text.utf8.prefix(count)))
            if case .malformedNumber = found { continue }
            XCTAssertEqual(found, .unexpectedEnd, "\(count) bytes")
        }
    }

    func testRefusesWhatTheGrammarDoesNotKnow() {
        let cases: [(text: String, offset: Int)] = [
            ("NaN", 0), ("Infinity", 0), ("+1", 0), (".5", 0), ("nul1", 3), ("True", 0), ("'a'", 0),
            ("[1,]", 3), ("[,1]", 1), ("[1 2]", 3), ("[1}", 2), ("{\"a\":1,}", 7), ("{,}", 1), ("{a:1}", 1),
            ("{\"a\" 1}", 5), ("{\"a\":1 \"b\":2}", 7), ("{1:2}", 1), ("/* */ 1", 0), ("[1 // \n]", 3),
            ("\"a\nb\"", 2), ("\"\t\"", 1), ("\u{FEFF}1", 0), ("[0x10]", 2), ("]", 0),
        ]
        for (text, offset) in cases {
            guard case .unexpectedByte(let byte, let found) = fault(text) else {
                XCTFail("\(text) gives \(String(describing: fault(text)))")
                continue
            }
            XCTAssertEqual(found, offset, text)
            XCTAssertEqual(byte, Array(text.utf8)[offset], text)
        }
    }

    func testRefusesMalformedNumbers() {
        for text in ["-", "-a", "01", "-00", "00.5", "1.", "1.e5", "1e", "1e+", "1E-x", "-Infinity"] {
            XCTAssertEqual(fault(text), .malformedNumber(offset: 0), text)
            XCTAssertEqual(fault("[1, \(text)]"), .malformedNumber(offset: 4), text)
        }
    }

    func testRefusesTrailingBytes() {
        XCTAssertEqual(fault("1 2"), .trailingBytes(offset: 2))
        XCTAssertEqual(fault("{}}"), .trailingBytes(offset: 2))
        XCTAssertEqual(fault("null\u{0}"), .trailingBytes(offset: 4))
        XCTAssertEqual(fault("1 \u{A0}"), .trailingBytes(offset: 2))
    }

    func testRefusesInvalidUTF8() {
        let invalid: [[UInt8]] = [
            [0x80], [0xC3], [0xC0, 0x80], [0xE0, 0x80, 0x80], [0xED, 0xA0, 0x80], [0xF4, 0x90, 0x80, 0x80],
            [0xF8, 0x88, 0x80, 0x80, 0x80], [0xFF, 0xFE],
        ]
        for bytes in invalid {
            let text = Array("[\"ab".utf8) + bytes + Array("\"]".utf8)
            XCTAssertEqual(fault(text), .invalidUTF8(offset: 4), "\(bytes)")
            let escaped = Array("[\"\\n".utf8) + bytes + Array("\"]".utf8)
            XCTAssertEqual(fault(escaped), .invalidUTF8(offset: 4), "\(bytes)")
        }
    }

    func testRefusesInvalidEscapes() {
        for escape in [
            #"\x41"#, #"\a"#, #"\'"#, #"\u12"#, #"\u12G4"#, #"\u"#, #"\U0041"#, #"\é"#, #"\u+123"#,
        ] {
            XCTAssertEqual(fault("\"a\(escape)\""), .invalidEscape(offset: 2), escape)
        }
        XCTAssertEqual(fault(#""\""#), .unexpectedEnd)
        XCTAssertEqual(fault(#""\ud800\u12""#), .invalidEscape(offset: 7))
    }

    func testRefusesUnpairedSurrogates() {
        for escape in [#"\ud800"#, #"\udc00"#, #"\ud800x"#, #"\ud800\n"#, #"\ud800\ud800"#, #"\udc00\ud800"#]
        {
            XCTAssertEqual(fault("\"\(escape)\""), .unpairedSurrogate(offset: 1), escape)
        }
    }

    func testRefusesDuplicateKeys() {
        XCTAssertEqual(fault(#"{"a":1,"b":2,"a":1}"#), .duplicateKey("a"))
        XCTAssertEqual(fault(#"{"a":1,"\u0061":2}"#), .duplicateKey("a"))
        XCTAssertEqual(fault(#"[{"x":{"":1,"":1}}]"#), .duplicateKey(""))
        let many = (0..<50).map { "\"\($0)\":0" } + ["\"7\":0"]
        XCTAssertEqual(fault("{" + many.joined(separator: ",") + "}"), .duplicateKey("7"))
        XCTAssertNil(fault(#"{"a":{"a":{"a":[{"a":1},{"a":1}]}}}"#))
    }

    func testRefusesDeepNesting() {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        XCTAssertNil(fault(nested(128)))
        XCTAssertEqual(fault(nested(129)), .tooDeep(limit: 128))
        XCTAssertEqual(fault(nested(100_000)), .tooDeep(limit: 128))
        XCTAssertEqual(fault(Array(#"{"a":{"b":1}}"#.utf8), maximumDepth: 1), .tooDeep(limit: 1))
        XCTAssertNil(fault(Array("1".utf8), maximumDepth: 0))
    }

    func testEveryFaultDescribesItself() {
        let faults: [JSONFault] = [
            .unexpectedByte(0x7D, offset: 3), .unexpectedByte(0, offset: 3), .unexpectedEnd,
            .invalidUTF8(offset: 1), .invalidEscape(offset: 1), .unpairedSurrogate(offset: 1),
            .malformedNumber(offset: 1), .duplicateKey("k"), .tooDeep(limit: 9), .trailingBytes(offset: 1),
        ]
        XCTAssertEqual(Set(faults.map(\.description)).count, faults.count)
        XCTAssertEqual(faults[0].description, "unexpected '}' at byte 3")
        XCTAssertEqual(faults[1].description, "unexpected byte 0x0 at byte 3")
    }
}

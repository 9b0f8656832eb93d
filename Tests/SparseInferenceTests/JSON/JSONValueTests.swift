import SparseInference
import XCTest

/// What the reader keeps of a text: order, digits, bytes.
final class JSONValueTests: XCTestCase {
    private func parse(_ text: String) throws -> JSONValue {
        try JSONValue(parsing: Array(text.utf8))
    }

    func testReadsEveryKindOfValue() throws {
        XCTAssertEqual(try parse(" null\n"), .null)
        XCTAssertEqual(try parse("true"), .bool(true))
        XCTAssertEqual(try parse("\tfalse\r"), .bool(false))
        XCTAssertEqual(try parse("-12.50e+3"), .number("-12.50e+3"))
        XCTAssertEqual(try parse("\"a\""), .string("a"))
        XCTAssertEqual(try parse("[ ]"), .array([]))
        XCTAssertEqual(
            try parse("[1 , [2], 3]"),
            .array([.number("1"), .array([.number("2")]), .number("3")])
        )
        let empty = try JSONObject([])
        XCTAssertEqual(try parse("{ }"), .object(empty))
        let members = try JSONObject([
            .init(key: "a", value: .number("1")), .init(key: "b", value: .object(empty)),
        ])
        XCTAssertEqual(try parse("{\"a\" : 1, \"b\":{}}"), .object(members))
    }

    func testObjectsKeepTheOrderOfTheFile() throws {
        let keys = ["z", "a", "M", "", "b"]
        let text = "{" + keys.map { "\"\($0)\": 0" }.joined(separator: ",") + "}"
        XCTAssertEqual(try parse(text).object?.members.map(\.key), keys)
        XCTAssertNotEqual(try parse("{\"a\":1,\"b\":2}"), try parse("{\"b\":2,\"a\":1}"))
    }

    func testObjectsFindEveryKeyAtAnySize() throws {
        for count in [0, 1, 8, 9, 1000] {
            let text = "{" + (0..<count).map { "\"key \($0)\": \($0)" }.joined(separator: ",") + "}"
            let object = try XCTUnwrap(parse(text).object)
            XCTAssertEqual(object.members.count, count)
            for number in 0..<count {
                XCTAssertEqual(object["key \(number)"]?.int, number, "of \(count)")
            }
            XCTAssertNil(object["key \(count)"], "of \(count)")
            XCTAssertNil(object[""], "of \(count)")
        }
    }

    func testKeysAreComparedByTheirBytes() throws {
        // "é" composed and decomposed are equal as Swift strings.
        let composed = "\u{E9}"
        let decomposed = "e\u{301}"
        for padding in [0, 20] {
            let filler = (0..<padding).map { "\"\($0)\":0," }.joined()
            let object = try XCTUnwrap(parse("{\(filler)\"\(composed)\":1,\"\(decomposed)\":2}").object)
            XCTAssertEqual(object[composed]?.int, 1)
            XCTAssertEqual(object[decomposed]?.int, 2)
        }
        XCTAssertNotEqual(try parse("\"\(composed)\""), try parse("\"\(decomposed)\""))
    }

    func testResolvesEscapes() throws {
        XCTAssertEqual(try parse(#""\"\\\/\b\f\n\r\t""#).string, "\"\\/\u{8}\u{C}\n\r\t")
        XCTAssertEqual(try parse(#""\u0000\u00e9\u4F60""#).string, "\u{0}\u{E9}\u{4F60}")
        XCTAssertEqual(try parse(#""x\ud83d\uDE00y""#).string, "x\u{1F600}y")
        XCTAssertEqual(try parse(#""\uDBFF\uDFFF\ud800\udc00""#).string, "\u{10FFFF}\u{10000}")
        XCTAssertEqual(try parse("\"\u{1F600}\u{7F}\"").string, "\u{1F600}\u{7F}")
        XCTAssertEqual(try parse(#"{"\u0061":1}"#).object?["a"]?.int, 1)
    }

    func testIntegersAreExact() throws {
        XCTAssertEqual(try parse("9223372036854775807").int, .max)
        XCTAssertEqual(try parse("-9223372036854775808").int, .min)
        XCTAssertEqual(try parse("-0").int, 0)
        for text in ["9223372036854775808", "1.0", "1e2", "1E2", "\"1\"", "null", "true"] {
            XCTAssertNil(try parse(text).int, text)
        }
    }

    func testDoublesAreFinite() throws {
        XCTAssertEqual(try parse("1e-06").double, 1e-6)
        XCTAssertEqual(try parse("40").double, 40)
        XCTAssertEqual(try parse("9223372036854775808").double, 9_223_372_036_854_775_808)
        for text in ["1e400", "-1e400", "\"1\"", "[]"] {
            XCTAssertNil(try parse(text).double, text)
        }
    }

    func testReadsNonFiniteNumbersWhenAsked() throws {
        let text = Array("[NaN, Infinity, -Infinity, -1]".utf8)
        let value = try JSONValue(parsing: text, dialect: .nonFiniteNumbers)
        let numbers = ["NaN", "Infinity", "-Infinity", "-1"].map { JSONValue.number($0) }
        XCTAssertEqual(value, .array(numbers))
        XCTAssertEqual(numbers.map(\.double), [nil, nil, nil, -1])
        XCTAssertThrowsError(try JSONValue(parsing: text))
        for text in ["Nan", "Inf", "-I", "-NaN", "+Infinity", "nan"] {
            XCTAssertThrowsError(try JSONValue(parsing: Array(text.utf8), dialect: .nonFiniteNumbers), text)
        }
    }

    func testConveniencesAnswerOnlyForTheirKind() throws {
        let texts = ["null", "true", "1", "\"\"", "[]", "{}"]
        let values = try texts.map(parse)
        XCTAssertEqual(values.map(\.isNull), texts.map { $0 == "null" })
        XCTAssertEqual(values.map { $0.bool != nil }, texts.map { $0 == "true" })
        XCTAssertEqual(values.map { $0.int != nil }, texts.map { $0 == "1" })
        XCTAssertEqual(values.map { $0.double != nil }, texts.map { $0 == "1" })
        XCTAssertEqual(values.map { $0.string != nil }, texts.map { $0 == "\"\"" })
        XCTAssertEqual(values.map { $0.array != nil }, texts.map { $0 == "[]" })
        XCTAssertEqual(values.map { $0.object != nil }, texts.map { $0 == "{}" })
    }

    func testSummariesStayShort() throws {
        XCTAssertEqual(try parse("\"two\"").summary, "\"two\"")
        XCTAssertEqual(try parse("[1, 2]").summary, "an array of 2")
        let long = String(repeating: "9", count: 5000)
        XCTAssertLessThan(try parse(long).summary.count, 50)
        XCTAssertLessThan(try parse("\"\(long)\"").summary.count, 50)
    }
}

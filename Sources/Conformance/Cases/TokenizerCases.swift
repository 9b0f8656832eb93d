import Foundation
package import SparseInference

/// Part D: a tokenizer and what its reference makes of many texts.
package struct TokenizerCases {
    private let name: String
    private let cases: JSONValue
    private let load: () throws -> Tokenizer

    /// The cases of a folder.
    ///
    /// - Parameters:
    ///   - folder: holds `tokenizer_cases.json` and, unless it is given, `tokenizer.json`.
    ///   - name: what the cases are called.
    ///   - tokenizer: the contents of `tokenizer.json`, where the folder holds it compressed.
    /// - Throws: when the cases cannot be read.
    init(_ folder: URL, name: String, tokenizer: Data? = nil) throws {
        let cases = try readJSON(folder.appendingPathComponent("tokenizer_cases.json"))
        self.init(cases, name: name) {
            guard let tokenizer else { return try Tokenizer(contentsOf: folder) }
            return try Tokenizer(tokenizer: JSONValue(parsing: [UInt8](tokenizer)))
        }
    }

    /// The cases of a file that is read already.
    ///
    /// - Parameters:
    ///   - cases: what `tokenizer_cases.json` holds.
    ///   - name: what the cases are called.
    ///   - load: makes the tokenizer, anew for each case.
    package init(_ cases: JSONValue, name: String, load: @escaping () throws -> Tokenizer) {
        self.cases = cases
        self.name = name
        self.load = load
    }

    /// Encoding, decoding, and decoding token by token.
    package var all: [ConformanceCase] {
        [
            ConformanceCase("\(name)/encode") { try compareEncoding() },
            ConformanceCase("\(name)/decode") { try compareDecoding(of: ["encode_decode", "decode_only"]) },
            ConformanceCase("\(name)/streaming") { try compareStreaming() },
        ]
    }

    private func compareEncoding() throws -> Outcome {
        let tokenizer = try load()
        return try .differing(cases.at("encode_decode").array ?? []) { item in
            let ids = tokenizer.encode(try item.text("text"))
            return ids == (try item.integers("ids"))
                ? nil : "\(try item.text("text").debugDescription) gives \(ids)"
        }
    }

    private func compareDecoding(of groups: [String]) throws -> Outcome {
        let tokenizer = try load()
        return try .differing(groups.flatMap { try cases.at($0).array ?? [] }) { item in
            let ids = try item.integers("ids")
            for (key, skips) in [("decoded", false), ("decoded_skip_special", true)] {
                let text = try tokenizer.decode(ids, skippingSpecialTokens: skips)
                // Compared by code points: `String` equality would forgive another normal form.
                guard text.unicodeScalars.elementsEqual(try item.text(key).unicodeScalars) else {
                    return "\(ids) gives \(text.debugDescription)"
                }
            }
            return nil
        }
    }

    private func compareStreaming() throws -> Outcome {
        let tokenizer = try load()
        let items = try ["encode_decode", "decode_only"].flatMap { try cases.at($0).array ?? [] }
        return try .differing(items) { item in
            var decoder = StreamingDecoder(tokenizer)
            var text = ""
            for id in try item.integers("ids") {
                text.unicodeScalars += try decoder.append(id).unicodeScalars
            }
            text.unicodeScalars += decoder.finish().unicodeScalars
            let expected = try item.text("decoded")
            return text.unicodeScalars.elementsEqual(expected.unicodeScalars) ? nil : text.debugDescription
        }
    }
}

extension Outcome {
    /// How many items differ, and how the first does.
    static func differing(_ items: [JSONValue], _ difference: (JSONValue) throws -> String?) rethrows
        -> Outcome
    {
        guard !items.isEmpty else { return .failed("no cases in the file") }
        let differences = try items.compactMap(difference)
        return .measured(
            Measurement(error: Double(differences.count), bound: 0, place: differences.first ?? "")
        )
    }
}

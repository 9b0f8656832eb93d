import SparseInference

extension FuzzTarget {
    /// Reads both files of a tokenizer, then encodes and decodes a text with it.
    ///
    /// A vocabulary without the first byte's token is given the tokens of all bytes, so that small inputs
    /// make whole tokenizers.
    func makeTokenizer(_ input: consuming Input) throws {
        let file = try JSONValue(parsing: input.text())
        let configuration = input.text()
        // Long texts are the business of `text`, whose patterns are known.
        let text = String(decoding: input.remainder().prefix(Self.longestText), as: UTF8.self)
        let tokenizer = try Tokenizer(
            tokenizer: file.completingVocabulary(),
            configuration: configuration.isEmpty
                ? nil : JSONValue(parsing: configuration, dialect: .nonFiniteNumbers)
        )
        let ids = tokenizer.encode(text, addingSpecialTokens: true)
        _ = try tokenizer.decode(ids, skippingSpecialTokens: true)
    }

    /// The bytes a tokenizer under test has to encode, at most.
    private static let longestText = 48

    /// Encodes and decodes a text, then decodes ids at once and one by one.
    func encodeText(_ input: consuming Input) throws {
        let bytes = input.remainder()
        let tokenizer = FixtureTokenizer.shared
        let text = String(decoding: bytes, as: UTF8.self)
        let decoded = try tokenizer.decode(tokenizer.encode(text))
        precondition(decoded.unicodeScalars.elementsEqual(text.unicodeScalars))

        let ids = stride(from: 0, to: bytes.count - 1, by: 2).map { index in
            Int(bytes[index]) << 8 | Int(bytes[index + 1])
        }
        var decoder = StreamingDecoder(tokenizer)
        var streamed = String.UnicodeScalarView()
        for id in ids { streamed += try decoder.append(id).unicodeScalars }
        streamed += decoder.finish().unicodeScalars
        let whole = try tokenizer.decode(ids)
        precondition(streamed.elementsEqual(whole.unicodeScalars))
    }
}

/// A small tokenizer in the form of DeepSeek-V3's.
enum FixtureTokenizer {
    static let shared: Tokenizer = {
        do {
            return try Tokenizer(tokenizer: JSONValue(parsing: Array(text.utf8)).completingVocabulary())
        } catch {
            preconditionFailure("the tokenizer of the fuzz target: \(error)")
        }
    }()

    private static let text = #"""
        {"added_tokens": [{"id": 0, "content": "<｜begin▁of▁sentence｜>", "special": true},
                          {"id": 1, "content": "<think>", "special": false, "normalized": true}],
         "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
          {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex": "\\p{N}{1,3}"}},
          {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex": "[一-龥぀-ゟ゠-ヿ]+"}},
          {"type": "Split", "behavior": "Isolated", "invert": false, "pattern": {"Regex":
           "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"}},
          {"type": "ByteLevel", "add_prefix_space": false, "use_regex": false}]},
         "decoder": {"type": "ByteLevel"},
         "model": {"type": "BPE", "vocab": {"Ġt": 300, "he": 301, "Ġthe": 302, "ä½": 303, "ä½ł": 304},
                   "merges": ["Ġ t", "h e", "Ġt he", "ä ½", "ä½ ł"]}}
        """#
}

extension JSONValue {
    /// The file with a token for each byte, unless its vocabulary begins with one of its own.
    fileprivate func completingVocabulary() -> JSONValue {
        replacing("model") { $0.replacing("vocab") { $0.withByteTokens() } }
    }

    private func replacing(_ key: String, _ change: (JSONValue) -> JSONValue) -> JSONValue {
        guard let object else { return self }
        let members = object.members.map { member in
            member.key == key ? JSONObject.Member(key: key, value: change(member.value)) : member
        }
        return (try? JSONObject(members)).map(JSONValue.object) ?? self
    }

    private func withByteTokens() -> JSONValue {
        guard let object, object["!"] == nil else { return self }
        let known = Self.byteTokens.filter { object[$0.key] == nil }
        return (try? JSONObject(known + object.members)).map(JSONValue.object) ?? self
    }

    /// Tokens of all bytes under the ids from 10 on, in the alphabet of GPT-2.
    ///
    /// Source: GPT-2 `src/encoder.py`, `bytes_to_unicode`.
    private static let byteTokens: [JSONObject.Member] = {
        let printable = Array(33...126) + Array(161...172) + Array(174...255)
        let scalars = printable + (0..<256 - printable.count).map { 256 + $0 }
        return scalars.enumerated().compactMap { id, scalar in
            Unicode.Scalar(scalar).map {
                JSONObject.Member(key: String(Character($0)), value: .number(String(id + 10)))
            }
        }
    }()
}

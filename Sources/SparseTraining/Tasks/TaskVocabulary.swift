package import Foundation
import SparseInference

/// The tokens of task texts: markers of a conversation, all bytes, and words.
///
/// The tokenizer is byte-level BPE with DeepSeek-V3's splitting and no merges: a piece that is a token is taken whole
/// (`ignore_merges`), anything else byte by byte. So every text can be encoded, and task texts are short.
///
/// | ids | tokens |
/// | --- | --- |
/// | 0 … 6 | begin, end, padding, user, assistant, begin and end of thinking |
/// | 7 … 262 | the bytes |
/// | from 263 | numbers from 10 to 99, then words: behind a space, and as the beginning of a text where they are capitalised |
/// | from 758 | what only the tasks of post-training need |
///
/// A model that has never met those tasks can do without the last ones.
package struct TaskVocabulary: Sendable {
    /// The markers, in the order of their ids.
    package static let markers = [
        ChatMarker.DeepSeek.begin, ChatMarker.DeepSeek.end, "<｜▁pad▁｜>", ChatMarker.DeepSeek.user,
        ChatMarker.DeepSeek.assistant,
        ChatMarker.beginOfThinking, ChatMarker.endOfThinking,
    ]
    /// Ids of the markers.
    package static let (begin, end, user, assistant) = (0, 1, 3, 4)
    /// Ids of the markers around thinking.
    package static let (beginOfThinking, endOfThinking) = (5, 6)

    /// The pieces that are tokens beyond bytes, in the order of their ids.
    private let pieces: [String]
    /// The mark-up of tools, behind the pieces.
    private let markup: [String]
    private let ids: [String: Int]
    /// What is more than a byte, by its first byte, the longest first.
    private let starts: [UInt8: [(bytes: [UInt8], id: Int)]]

    private static let firstByte = markers.count
    private static let firstPiece = firstByte + 256

    /// What only the tasks of post-training need.
    private static let laterPieces = WordList.languagePieces + ToolMarkup.words

    /// The vocabulary.
    ///
    /// - Parameter limit: the most tokens; where all of them are more, those that only post-training needs are left out.
    package init(limit: Int = .max) {
        let words =
            WordList.things + WordList.places + WordList.looks + WordList.deeds + WordList.goods
            + WordList.manners + WordList.ways + WordList.links + WordList.names
        let first =
            (10..<100).map(String.init) + words.map { " " + $0 }
            + words.filter { $0.first?.isUppercase == true }
        let all = first + Self.laterPieces
        let isWhole = Self.firstPiece + all.count + ToolMarkup.pieces.count <= limit
        pieces = isWhole ? all : first
        markup = isWhole ? ToolMarkup.pieces : []
        ids = Dictionary(
            uniqueKeysWithValues: (pieces + markup).enumerated().map { ($1, Self.firstPiece + $0) }
        )
        starts = Self.starts(ids)
    }

    /// The number of tokens.
    package var count: Int { Self.firstPiece + pieces.count + markup.count }

    /// The id of a piece of text that is one token.
    ///
    /// - Precondition: it is one: a word of the list or a single byte.
    func id(_ piece: String) -> Int {
        if let id = ids[piece] { return id }
        let bytes = Array(piece.utf8)
        precondition(bytes.count == 1, "\"\(piece)\" is not one token")
        return Self.firstByte + Int(bytes[0])
    }

    /// The ids of pieces.
    func ids(_ pieces: [String]) -> [Int] { pieces.map(id) }

    /// The id of a piece beyond bytes; none where there is no such piece.
    func find(_ piece: String) -> [Int] { ids[piece].map { [$0] } ?? [] }

    /// The text of some tokens.
    ///
    /// - Parameter ids: any numbers.
    /// - Returns: the text; nil when a marker is among them, or what is no token.
    func text(_ ids: [Int]) -> String? {
        var bytes: [UInt8] = []
        for id in ids {
            switch id {
            case Self.firstByte..<Self.firstPiece: bytes.append(UInt8(id - Self.firstByte))
            case Self.firstPiece..<Self.firstPiece + pieces.count:
                bytes += pieces[id - Self.firstPiece].utf8
            case Self.firstPiece + pieces.count..<count:
                bytes += markup[id - Self.firstPiece - pieces.count].utf8
            default: return nil
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension TaskVocabulary {
    /// The tokens of a text: of all pieces and markers that begin at a place the longest, or else a byte.
    ///
    /// For texts that tasks and tools write it gives what the tokenizer gives.
    func encode(_ text: String) -> [Int] {
        var rest = Array(text.utf8)[...]
        var tokens: [Int] = []
        while let first = rest.first {
            let longest = (starts[first] ?? []).first { rest.starts(with: $0.bytes) }
            tokens.append(longest?.id ?? Self.firstByte + Int(first))
            rest.removeFirst(longest?.bytes.count ?? 1)
        }
        return tokens
    }

    private static func starts(_ ids: [String: Int]) -> [UInt8: [(bytes: [UInt8], id: Int)]] {
        let markers = Dictionary(uniqueKeysWithValues: markers.enumerated().map { ($1, $0) })
        let all = ids.merging(markers) { piece, _ in piece }.map { (bytes: Array($0.key.utf8), id: $0.value) }
        return Dictionary(grouping: all) { $0.bytes[0] }
            .mapValues { $0.sorted { $0.bytes.count > $1.bytes.count } }
    }
}

// MARK: - As files

extension TaskVocabulary {
    /// Writes `tokenizer.json` and `tokenizer_config.json`.
    ///
    /// - Parameter folder: must exist.
    /// - Throws: what the file system refuses.
    package func write(to folder: URL) throws {
        try write(tokenizer, to: folder.appendingPathComponent("tokenizer.json"))
        try write(configuration, to: folder.appendingPathComponent("tokenizer_config.json"))
    }

    private func write(_ object: [String: Any], to url: URL) throws {
        let options: JSONSerialization.WritingOptions = [
            .prettyPrinted, .sortedKeys, .withoutEscapingSlashes,
        ]
        try (JSONSerialization.data(withJSONObject: object, options: options) + Data("\n".utf8)).write(
            to: url,
            options: .atomic
        )
    }

    private var tokenizer: [String: Any] {
        var vocabulary = Dictionary(uniqueKeysWithValues: Self.markers.enumerated().map { ($1, $0) })
        for byte in UInt8.min...UInt8.max {
            vocabulary[Self.letter(byte)] = Self.firstByte + Int(byte)
        }
        for piece in pieces {
            vocabulary[piece.utf8.map(Self.letter).joined()] = id(piece)
        }
        for piece in markup { vocabulary[piece] = id(piece) }
        let added = Self.markers.enumerated().map { ($0, $1) } + markup.map { (id($0), $0) }
        func split(_ pattern: String) -> [String: Any] {
            ["type": "Split", "pattern": ["Regex": pattern], "behavior": "Isolated", "invert": false]
        }
        let byteLevel: [String: Any] = [
            "type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": false,
        ]
        return [
            "version": "1.0",
            "added_tokens": added.map { id, content in
                [
                    "id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                    "normalized": false, "special": id < 3,
                ] as [String: Any]
            },
            "normalizer": ["type": "Sequence", "normalizers": [Any]()] as [String: Any],
            "pre_tokenizer": [
                "type": "Sequence",
                "pretokenizers": [
                    split("\\p{N}{1,3}"), split("[一-龥぀-ゟ゠-ヿ]+"), split(Self.letters), byteLevel,
                ],
            ] as [String: Any],
            "post_processor": byteLevel,
            "decoder": byteLevel,
            "model": [
                "type": "BPE", "fuse_unk": false, "byte_fallback": false, "ignore_merges": true,
                "vocab": vocabulary, "merges": [Any](),
            ] as [String: Any],
        ]
    }

    private var configuration: [String: Any] {
        [
            "add_bos_token": true, "add_eos_token": false, "bos_token": Self.markers[0],
            "eos_token": Self.markers[1], "pad_token": Self.markers[2],
            "tokenizer_class": "PreTrainedTokenizerFast", "clean_up_tokenization_spaces": false,
        ]
    }

    /// DeepSeek-V3's expression for words, punctuation and white space.
    private static let letters =
        "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+"
        + "| ?[\\p{P}\\p{S}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"

    /// The letter that stands for a byte in byte-level vocabularies.
    ///
    /// Source: GPT-2 `encoder.py`, `bytes_to_unicode`.
    private static func letter(_ byte: UInt8) -> String {
        let isPlain = (33...126).contains(byte) || (161...172).contains(byte) || byte >= 174
        if isPlain { return String(UnicodeScalar(byte)) }
        let shifted = (0..<byte).filter {
            !((33...126).contains($0) || (161...172).contains($0) || $0 >= 174)
        }.count
        return UnicodeScalar(UInt32(256 + shifted)).map { String($0) } ?? ""
    }
}

/// Cuts a text into the words that are encoded one by one.
struct PreTokenizer: Sendable {
    /// One step over all pieces that the steps before it left.
    enum Step: Sendable {
        /// Splits each piece; `inverted` takes what does not match for the matches.
        case split(SplitPattern, SplitBehavior, inverted: Bool)
        /// Puts a space before each piece that does not begin with one.
        case prefixSpace
    }

    /// The steps, in order.
    let steps: [Step]

    /// The words of a text, one after the other.
    func words(of text: String) -> PreTokenizedText {
        var result = PreTokenizedText(text)
        for step in steps {
            switch step {
            case .split(let pattern, let behavior, let inverted):
                result.split(at: pattern, behavior, inverted: inverted)
            case .prefixSpace:
                result.prefixSpaces()
            }
        }
        return result
    }
}

/// A text and the pieces it is cut into, none of them empty.
struct PreTokenizedText {
    private var text: String
    /// The text in UTF-16, which patterns count in.
    private var units: [UInt16]
    private(set) var pieces: [Range<Int>]

    /// A text in one piece.
    init(_ text: String) {
        self.text = text
        units = Array(text.utf16)
        pieces = units.isEmpty ? [] : [units.indices]
    }

    /// Replaces `word` by the UTF-8 of a piece.
    func copyPiece(_ piece: Range<Int>, to word: inout [UInt8]) {
        word.removeAll(keepingCapacity: true)
        var isASCII = true
        for unit in units[piece] {
            guard unit < 0x80 else {
                isASCII = false
                break
            }
            word.append(UInt8(truncatingIfNeeded: unit))
        }
        if isASCII { return }
        word.removeAll(keepingCapacity: true)
        _ = transcode(units[piece].makeIterator(), from: UTF16.self, to: UTF8.self, stoppingOnError: false) {
            word.append($0)
        }
    }
}

// MARK: - Steps

extension PreTokenizedText {
    /// Cuts each piece at the matches of a pattern.
    fileprivate mutating func split(
        at pattern: SplitPattern,
        _ behavior: SplitBehavior,
        inverted: Bool
    ) {
        var result: [Range<Int>] = []
        result.reserveCapacity(pieces.count)
        var spans: [(range: Range<Int>, isMatch: Bool)] = []
        for piece in pieces {
            spans.removeAll(keepingCapacity: true)
            var end = piece.lowerBound
            for match in pattern.matches(in: text, piece: piece) {
                if end < match.lowerBound { spans.append((end..<match.lowerBound, inverted)) }
                spans.append((match, !inverted))
                end = match.upperBound
            }
            if end < piece.upperBound { spans.append((end..<piece.upperBound, inverted)) }
            behavior.append(spans, to: &result)
        }
        result.removeAll(where: \.isEmpty)
        pieces = result
    }

    /// Rewrites the text with a space before each piece that lacks one.
    fileprivate mutating func prefixSpaces() {
        let space = UInt16(UInt8(ascii: " "))
        var prefixed: [UInt16] = []
        prefixed.reserveCapacity(units.count + pieces.count)
        for index in pieces.indices {
            let start = prefixed.count
            if units[pieces[index].lowerBound] != space { prefixed.append(space) }
            prefixed.append(contentsOf: units[pieces[index]])
            pieces[index] = start..<prefixed.count
        }
        units = prefixed
        text = String(decoding: prefixed, as: UTF16.self)
    }
}

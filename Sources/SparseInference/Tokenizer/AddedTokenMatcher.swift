/// Finds added tokens in a text: the leftmost first, and the longest of those that start together.
struct AddedTokenMatcher: Sendable {
    /// A part of a text.
    enum Section: Equatable, Sendable {
        /// Text without added tokens, by its range in bytes.
        case text(Range<Int>)
        /// The id of an added token.
        case token(Int)
    }

    private let tokens: [AddedToken]
    /// The child of a node of the trie, by `node << 8 | byte`; the root is node 0.
    private let children: [Int: Int]
    /// The children of the root, where most searches end; 0 for none. [256]
    private let roots: [Int]
    /// The place in `tokens` of what ends at a node; −1 for nothing.
    private let endings: [Int]

    /// Gathers the texts to look for.
    init(_ tokens: [AddedToken]) {
        var children: [Int: Int] = [:]
        var endings = [-1]
        for (index, token) in tokens.enumerated() {
            var node = 0
            for byte in token.text.utf8 {
                let edge = node << 8 | Int(byte)
                if let child = children[edge] {
                    node = child
                } else {
                    node = endings.count
                    children[edge] = node
                    endings.append(-1)
                }
            }
            // Where normalization makes two tokens the same text, the first has it.
            if node != 0 && endings[node] < 0 { endings[node] = index }
        }
        self.tokens = tokens
        self.children = children
        self.endings = endings
        roots = (0..<256).map { children[$0] ?? 0 }
    }

    /// Cuts valid UTF-8 at the added tokens.
    func sections(of bytes: [UInt8]) -> [Section] {
        var sections: [Section] = []
        var done = 0
        var position = 0
        while position < bytes.count {
            guard let match = longestMatch(in: bytes, at: position) else {
                position += 1
                continue
            }
            let range = position..<match.end
            position = match.end
            // White space that the token before has taken is not there any more.
            guard range.lowerBound >= done else { continue }
            let token = tokens[match.token]
            let words = UTF8Words(bytes)
            if token.isSingleWord && words.touchesWord(range) { continue }
            let start =
                token.stripsLeft ? words.startOfSpace(before: range.lowerBound, from: done) : range.lowerBound
            if done < start { sections.append(.text(done..<start)) }
            sections.append(.token(token.id))
            done = token.stripsRight ? words.endOfSpace(after: range.upperBound) : range.upperBound
        }
        if done < bytes.count { sections.append(.text(done..<bytes.count)) }
        return sections
    }

    private func longestMatch(in bytes: [UInt8], at start: Int) -> (token: Int, end: Int)? {
        var node = roots[Int(bytes[start])]
        var best: (token: Int, end: Int)?
        var end = start + 1
        while node != 0 {
            if endings[node] >= 0 { best = (endings[node], end) }
            guard end < bytes.count else { break }
            node = children[node << 8 | Int(bytes[end])] ?? 0
            end += 1
        }
        return best
    }
}

/// White space and words in valid UTF-8, around places between two characters.
private struct UTF8Words {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Whether a letter, mark, digit or connector stands right before or behind the range.
    func touchesWord(_ range: Range<Int>) -> Bool {
        [scalar(endingAt: range.lowerBound), scalar(startingAt: range.upperBound)]
            .contains { $0.map(isWord) ?? false }
    }

    func startOfSpace(before end: Int, from limit: Int) -> Int {
        var start = end
        while start > limit, let scalar = scalar(endingAt: start), scalar.properties.isWhitespace {
            start -= UTF8.width(scalar)
        }
        return start
    }

    func endOfSpace(after start: Int) -> Int {
        var end = start
        while let scalar = scalar(startingAt: end), scalar.properties.isWhitespace {
            end += UTF8.width(scalar)
        }
        return end
    }

    private func scalar(endingAt end: Int) -> Unicode.Scalar? {
        var start = end - 1
        while start > 0 && UTF8.isContinuation(bytes[start]) { start -= 1 }
        return start < 0 ? nil : scalar(startingAt: start)
    }

    private func scalar(startingAt start: Int) -> Unicode.Scalar? {
        String(decoding: bytes[start..<min(start + 4, bytes.count)], as: UTF8.self).unicodeScalars.first
    }

    private func isWord(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.properties.isAlphabetic || scalar.properties.isJoinControl { return true }
        return switch scalar.properties.generalCategory {
        case .nonspacingMark, .spacingMark, .enclosingMark, .decimalNumber, .connectorPunctuation: true
        default: false
        }
    }
}

import Foundation

/// What a pre-tokenizer looks for in a text: a regular expression, or a fixed string.
struct SplitPattern: Sendable {
    private let expression: NSRegularExpression

    /// Compiles a regular expression written for Oniguruma.
    ///
    /// - Throws: `TokenizerFault.invalidPattern` when it is malformed or cannot be translated.
    init(regex source: String) throws(TokenizerFault) {
        // Anchors stand at line feeds, whatever the flags, as in Oniguruma.
        let translated = try PatternTranslation.translate(source)
        let options: NSRegularExpression.Options = [.anchorsMatchLines, .useUnixLineSeparators]
        guard let expression = try? NSRegularExpression(pattern: translated, options: options) else {
            throw .invalidPattern(source)
        }
        self.expression = expression
    }

    /// Looks for a string as it is.
    init(literal: String) throws(TokenizerFault) {
        guard
            let expression = try? NSRegularExpression(pattern: literal, options: .ignoreMetacharacters)
        else { throw .invalidPattern(literal) }
        self.expression = expression
    }

    /// The matches in a piece of a text, in order; the piece is matched as if it stood alone.
    ///
    /// An empty match right behind another match does not count. Should the matcher give up, out of
    /// memory, the rest of the piece counts as free of matches.
    ///
    /// - Parameters:
    ///   - text: the whole text.
    ///   - piece: the piece, in UTF-16 units.
    /// - Returns: the ranges of the matches, in UTF-16 units of the text.
    func matches(in text: String, piece: Range<Int>) -> [Range<Int>] {
        var matches: [Range<Int>] = []
        let range = NSRange(location: piece.lowerBound, length: piece.count)
        expression.enumerateMatches(in: text, range: range) { match, _, _ in
            guard let match else { return }
            let (start, length) = (match.range.location, match.range.length)
            if length == 0 && start == matches.last?.upperBound { return }
            matches.append(start..<(start + length))
        }
        return matches
    }
}

/// Rewrites a regular expression from Oniguruma, which tokenizer files are written for, to ICU.
///
/// Most of both languages is the same. What is spelled alike and means something else is respelled
/// (`\s`, `\w`, `\h`, `\v`, the flag `m`); what is not certain to mean the same is refused.
struct PatternTranslation {
    private let source: String
    private let scalars: [Unicode.Scalar]
    private var offset = 0
    private var setDepth = 0
    private var output = String.UnicodeScalarView()

    /// The pattern in ICU's language.
    ///
    /// - Throws: `TokenizerFault.invalidPattern` for what has no sure translation.
    static func translate(_ source: String) throws(TokenizerFault) -> String {
        var translation = PatternTranslation(source: source)
        while translation.offset < translation.scalars.count { try translation.step() }
        return String(translation.output)
    }

    private init(source: String) {
        self.source = source
        scalars = Array(source.unicodeScalars)
    }

    private var isInSet: Bool { setDepth > 0 }

    /// Translates what stands at the offset, and steps over it.
    private mutating func step() throws(TokenizerFault) {
        switch scalars[offset] {
        case "\\": try translateEscape()
        case "[": try openSet()
        case "]":
            setDepth = max(setDepth - 1, 0)
            copy(1)
        case "-" where isInSet && next(1) == "-": throw invalid
        case "(" where !isInSet && next(1) == "?": try translateGroup()
        case "{" where !isInSet: try translateInterval()
        default: copy(1)
        }
    }
}

// MARK: - Escapes

extension PatternTranslation {
    private mutating func translateEscape() throws(TokenizerFault) {
        guard let letter = next(1) else { throw invalid }
        switch letter {
        case "s": replace(2, by: "\\p{White_Space}")
        case "S": replace(2, by: "\\P{White_Space}")
        case "d": replace(2, by: "\\p{Nd}")
        case "D": replace(2, by: "\\P{Nd}")
        case "w": replace(2, by: isInSet ? "[\(PatternTranslation.wordSet)]" : PatternTranslation.word)
        case "W": replace(2, by: isInSet ? "[^\(PatternTranslation.wordSet)]" : PatternTranslation.notWord)
        case "b" where !isInSet: replace(2, by: PatternTranslation.boundary(isThere: true))
        case "B" where !isInSet: replace(2, by: PatternTranslation.boundary(isThere: false))
        case "h": replace(2, by: "[0-9A-Fa-f]")
        case "H": replace(2, by: "[^0-9A-Fa-f]")
        case "v": replace(2, by: "\\u000B")
        case "p", "P": try translateProperty(negated: letter == "P")
        case "t", "n", "r", "f", "a", "e": copy(2)
        case "A", "z", "Z", "G", "1"..."9":
            if isInSet { throw invalid }
            copy(2)
        case "u":
            guard offset + 6 <= scalars.count else { throw invalid }
            copy(6)
        case "x": try translateHexadecimal()
        default:
            // An escaped sign stands for itself; an escaped letter left over means different things.
            if letter.properties.isAlphabetic || letter == "0" { throw invalid }
            copy(2)
        }
    }

    /// What a word is made of, as the inside of a set.
    private static let wordSet = #"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}"#
    /// Outside of sets, Oniguruma counts the raised digits and the fractions of Latin-1 as well.
    private static let word = #"[\#(wordSet)\u00B2\u00B3\u00B9\u00BC-\u00BE]"#
    private static let notWord = #"[^\#(wordSet)\u00B2\u00B3\u00B9\u00BC-\u00BE]"#

    /// A place between a word and something else, or one that is no such place.
    ///
    /// ICU's own looks through marks and format characters.
    private static func boundary(isThere: Bool) -> String {
        isThere
            ? "(?:(?<=\(word))(?!\(word))|(?<!\(word))(?=\(word)))"
            : "(?:(?<=\(word))(?=\(word))|(?<!\(word))(?!\(word)))"
    }

    /// Translates `\p{name}`, `\P{name}` and `\p{^name}`.
    private mutating func translateProperty(negated: Bool) throws(TokenizerFault) {
        guard next(2) == "{", let end = scalars[offset...].firstIndex(of: "}") else { throw invalid }
        var name = scalars[(offset + 3)..<end]
        let isNegated = (name.first == "^") != negated
        if name.first == "^" { name = name.dropFirst() }
        try refuseUnsureName(name)
        var text = String.UnicodeScalarView()
        text.append(contentsOf: name)
        replace(end + 1 - offset, by: (isNegated ? "\\P{" : "\\p{") + String(text) + "}")
    }

    /// Translates `\xHH`, one byte and so ASCII here, and `\x{H…}`.
    private mutating func translateHexadecimal() throws(TokenizerFault) {
        if next(2) == "{" {
            guard let end = scalars[offset...].firstIndex(of: "}") else { throw invalid }
            return copy(end + 1 - offset)
        }
        guard let first = next(2)?.properties.numericValue, first < 8, next(3) != nil else { throw invalid }
        copy(4)
    }

    /// Refuses the classes that differ between the languages, or between Oniguruma's versions.
    private func refuseUnsureName(_ name: ArraySlice<Unicode.Scalar>) throws(TokenizerFault) {
        let letters = name.lazy.map { $0.properties.lowercaseMapping }.filter { $0 != "_" && $0 != " " }
        if ["punct", "word", "graph", "print"].contains(letters.joined()) { throw invalid }
    }
}

// MARK: - Sets, groups, intervals

extension PatternTranslation {
    private mutating func openSet() throws(TokenizerFault) {
        if isInSet && next(1) == ":" {
            guard let end = scalars[offset...].firstIndex(of: "]"), end > offset + 2 else { throw invalid }
            let name = scalars[(offset + 2)..<(end - 1)]
            try refuseUnsureName(name.first == "^" ? name.dropFirst() : name)
            return copy(end + 1 - offset)
        }
        setDepth += 1
        copy(next(1) == "^" ? 2 : 1)
        if offset < scalars.count && scalars[offset] == "]" { throw invalid }
    }

    /// Translates the flags of a group; `m` lets the dot match line feeds, which ICU calls `s`.
    ///
    /// Flags that reach to the end of a group are taken at the start of the pattern alone: Oniguruma
    /// ends the alternatives before them, ICU does not.
    private mutating func translateGroup() throws(TokenizerFault) {
        guard let first = next(2), first.properties.isAlphabetic || first == "-" else {
            return copy(2)
        }
        let isAtStart = offset == 0
        copy(2)
        while offset < scalars.count {
            switch scalars[offset] {
            case "i", "-": copy(1)
            case "m": replace(1, by: "s")
            case ":": return copy(1)
            case ")" where isAtStart: return copy(1)
            default: throw invalid
            }
        }
    }

    /// Copies `{n}`, `{n,}` and `{n,m}`, with `?` behind a range; the other forms differ.
    private mutating func translateInterval() throws(TokenizerFault) {
        guard let end = scalars[offset...].firstIndex(of: "}") else { throw invalid }
        let bounds = scalars[(offset + 1)..<end]
        guard bounds.first != ",", bounds.allSatisfy({ $0 == "," || ("0"..."9").contains($0) }) else {
            throw invalid
        }
        copy(end + 1 - offset)
        switch offset < scalars.count ? scalars[offset] : nil {
        case "+", "*": throw invalid
        case "?" where !bounds.contains(","): throw invalid
        default: break
        }
    }
}

// MARK: - Steps

extension PatternTranslation {
    private var invalid: TokenizerFault { .invalidPattern(source) }

    /// The scalar some way behind the one at the offset.
    private func next(_ distance: Int) -> Unicode.Scalar? {
        offset + distance < scalars.count ? scalars[offset + distance] : nil
    }

    private mutating func copy(_ count: Int) {
        let end = min(offset + count, scalars.count)
        output.append(contentsOf: scalars[offset..<end])
        offset = end
    }

    private mutating func replace(_ count: Int, by text: String) {
        output.append(contentsOf: text.unicodeScalars)
        offset += count
    }
}

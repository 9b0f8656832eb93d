/// What becomes of the matches when a text is split.
///
/// Source: Hugging Face tokenizers, `SplitDelimiterBehavior`.
enum SplitBehavior: String, Sendable {
    /// Matches are dropped.
    case removed = "Removed"
    /// Each match is a piece.
    case isolated = "Isolated"
    /// A match ends the piece before it.
    case mergedWithPrevious = "MergedWithPrevious"
    /// A match begins the piece behind it.
    case mergedWithNext = "MergedWithNext"
    /// Neighbouring matches are one piece.
    case contiguous = "Contiguous"
}

extension SplitBehavior {
    /// Appends the pieces that spans make.
    ///
    /// - Parameters:
    ///   - spans: what matches and what lies between, without gaps.
    ///   - pieces: what they are appended to; the caller drops the empty ones.
    func append(_ spans: [(range: Range<Int>, isMatch: Bool)], to pieces: inout [Range<Int>]) {
        switch self {
        case .removed:
            for span in spans where !span.isMatch { pieces.append(span.range) }
        case .isolated:
            for span in spans { pieces.append(span.range) }
        case .contiguous:
            appendJoined(spans, to: &pieces) { before, span in before == span }
        case .mergedWithPrevious:
            appendJoined(spans, to: &pieces) { before, span in !before && span }
        case .mergedWithNext:
            let first = pieces.count
            var follower = false
            for span in spans.reversed() {
                if span.isMatch && !follower && pieces.count > first {
                    let last = pieces.removeLast()
                    pieces.append(span.range.lowerBound..<last.upperBound)
                } else {
                    pieces.append(span.range)
                }
                follower = span.isMatch
            }
            pieces[first...].reverse()
        }
    }

    /// Appends spans, each to the piece before it where the rule says so of the two "is a match".
    private func appendJoined(
        _ spans: [(range: Range<Int>, isMatch: Bool)],
        to pieces: inout [Range<Int>],
        where joins: (_ before: Bool, _ span: Bool) -> Bool
    ) {
        let first = pieces.count
        var before = false
        for span in spans {
            if joins(before, span.isMatch) && pieces.count > first {
                let last = pieces.removeLast()
                pieces.append(last.lowerBound..<span.range.upperBound)
            } else {
                pieces.append(span.range)
            }
            before = span.isMatch
        }
    }
}

/// A token that is looked for in the text itself, before anything is merged.
struct AddedToken: Equatable, Sendable {
    /// Its id.
    let id: Int
    /// The token as the file writes it.
    let content: String
    /// The text to look for, and what it decodes to: the content, normalized if the text is.
    let text: String
    /// Whether decoding can skip it.
    let isSpecial: Bool
    /// Whether it is looked for in the normalized text, rather than the text as given.
    let isNormalized: Bool
    /// Whether it takes the white space before it.
    let stripsLeft: Bool
    /// Whether it takes the white space behind it.
    let stripsRight: Bool
    /// Whether it counts only where it does not touch a letter, digit or underscore.
    let isSingleWord: Bool

    /// The most bytes a content may hold; it bounds the work at each position of a text.
    static let longestContent = 4096
}

import Foundation

/// Unicode normalization forms, applied one after the other.
struct TextNormalizer: Sendable {
    /// A normalization form of Unicode Standard Annex 15; raw values as in the file.
    enum Form: String, Sendable {
        /// Canonical composition.
        case canonicalComposed = "NFC"
        /// Canonical decomposition.
        case canonicalDecomposed = "NFD"
        /// Compatibility composition.
        case compatibilityComposed = "NFKC"
        /// Compatibility decomposition.
        case compatibilityDecomposed = "NFKD"
    }

    /// The forms, in order; none leaves every text as it is.
    let forms: [Form]

    /// The text in the last of the forms.
    func normalize(_ text: String) -> String {
        forms.reduce(text) { text, form in
            switch form {
            case .canonicalComposed: text.precomposedStringWithCanonicalMapping
            case .canonicalDecomposed: text.decomposedStringWithCanonicalMapping
            // In two steps: Foundation's one step leaves some Hangul syllables uncomposed.
            case .compatibilityComposed:
                text.decomposedStringWithCompatibilityMapping.precomposedStringWithCanonicalMapping
            case .compatibilityDecomposed: text.decomposedStringWithCompatibilityMapping
            }
        }
    }
}

package import SparseInference

/// A document of numbered sections, longer than anyone wants to read.
///
/// | tool | arguments | result |
/// | --- | --- | --- |
/// | `search` | `words` | the numbers of the first sections that contain all the words, such as *7 12*, or *none* |
/// | `open` | `section` | the section's text; *none*, or *too long* |
///
/// Source: the search agent of the V3.2 report, "Large-Scale Agentic Tasks"; hops as in HotpotQA (Yang et al. 2018).
package struct DocumentShelf: Toolbox {
    /// The sections; the first has number 1.
    package let sections: [String]

    /// The most sections a search finds.
    static let mostFound = 3
    /// The most bytes of a section that is opened.
    static let longest = 1024

    /// A document.
    package init(sections: [String]) {
        self.sections = sections
    }

    /// Carries out a call.
    package mutating func call(_ call: ToolCall) -> String {
        switch call.name {
        case "search":
            guard let texts = call.strings("words") else { return ToolFault.badCall }
            let found = search(texts[0])
            return found.isEmpty ? "none" : found.map(String.init).joined(separator: " ")
        case "open":
            guard let texts = call.strings("section") else { return ToolFault.badCall }
            guard let number = Int(texts[0]), sections.indices.contains(number - 1) else { return "none" }
            let text = sections[number - 1]
            return text.utf8.count <= Self.longest ? text : ToolFault.tooLong
        default: return ToolFault.badCall
        }
    }

    /// The numbers of the first sections that contain all of some words.
    func search(_ text: String) -> [Int] {
        let words = Self.words(text)
        guard !words.isEmpty else { return [] }
        let found = sections.enumerated().lazy.filter { words.isSubset(of: Self.words($0.element)) }
        return found.prefix(Self.mostFound).map { $0.offset + 1 }
    }

    private static func words(_ text: String) -> Set<Substring> {
        Set(text.split { !$0.isLetter && !$0.isNumber })
    }
}

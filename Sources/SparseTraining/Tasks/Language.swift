import SparseInference

/// A language that questions are asked in.
package enum Language: String, CaseIterable, Codable, Sendable {
    /// English.
    case english
    /// German.
    case german

    /// The other one.
    var other: Language { self == .english ? .german : .english }
}

/// Which languages a stage's questions are in, and how often a demonstration answers in the wrong one.
///
/// It concerns tasks that are worded: `steps`, `logic`, `coding`, `search` and `writing`. All others are in English.
public struct LanguageMix: Equatable, Sendable, Codable {
    /// The share of questions in German; the others are in English.
    public var german: Double
    /// The share of demonstrations that answer in the other language than the question's; none when nil.
    ///
    /// A teacher who mixes languages: what a reward for consistency has to mend.
    public var slips: Double?

    /// A mix.
    public init(german: Double, slips: Double? = nil) {
        self.german = german
        self.slips = slips
    }

    /// English alone.
    static let english = LanguageMix(german: 0)

    /// The same with a value in every field that may be left out.
    var withEveryField: LanguageMix { LanguageMix(german: german, slips: slips ?? 0) }

    /// - Throws: `RecipeFault.invalid` naming the field that is out of range.
    func validate(_ path: String) throws(RecipeFault) {
        for (name, share) in [("german", german), ("slips", slips ?? 0)] {
            try require((0...1).contains(share), "\(path).\(name)", share, "a share of 0 to 1")
        }
    }

    /// The languages of a question and of its demonstration; nothing is drawn where nothing is to be chosen.
    func draw(_ generator: inout SplitMix64) -> (question: Language, answer: Language) {
        func happens(_ share: Double) -> Bool {
            share > 0 && Double.random(in: 0..<1, using: &generator) < share
        }
        let question: Language = happens(german) ? .german : .english
        return (question, happens(slips ?? 0) ? question.other : question)
    }
}

import SparseInference

/// Sentences about people who go somewhere, do something and come back.
///
/// Who came from where was said before: the text can be read on better by someone who remembers it.
///
/// | sentence | tokens |
/// | --- | --- |
/// | *Name* goes to the *place* and buys bread soon. | 10 |
/// | *Name* buys bread soon. | 5 |
/// | *Name* comes back from the *place*. | 7 |
struct Prose {
    private var away: [(name: String, place: String)] = []

    /// The most tokens of a sentence.
    static let longestSentence = 10
    /// The most people that are away at once.
    private static let mostAway = 12

    /// The next sentence, as pieces; the first of a text has no space before it.
    mutating func sentence(_ generator: inout SplitMix64, isFirst: Bool) -> [String] {
        let roll = Int.random(in: 0..<10, using: &generator)
        if !away.isEmpty, roll < 4 || away.count == Self.mostAway {
            let (name, place) = away.remove(at: Int.random(in: 0..<away.count, using: &generator))
            return [Self.start(name, isFirst), " comes", " back", " from", " the", " " + place, "."]
        }
        let name = WordList.names.filter { name in !away.contains { $0.name == name } }
            .pick(&generator)
        let deed = [" " + WordList.deeds.pick(&generator), " " + WordList.goods.pick(&generator)]
        let manner = " " + WordList.manners.pick(&generator)
        guard roll < 8 else { return [Self.start(name, isFirst)] + deed + [manner, "."] }
        let place = WordList.places.pick(&generator)
        away.append((name, place))
        let way = " " + WordList.ways.pick(&generator)
        return [Self.start(name, isFirst), way, " to", " the", " " + place, " and"] + deed + [manner, "."]
    }

    /// A capitalised word at the beginning of a sentence.
    static func start(_ word: String, _ isFirst: Bool) -> String {
        isFirst ? word : " " + word
    }
}

extension Array {
    /// One of the elements.
    func pick(_ generator: inout SplitMix64) -> Element {
        self[Int.random(in: 0..<count, using: &generator)]
    }
}

import SparseInference

/// People in a row, of whom some stand before others.
///
/// *Ada< Bruno, Carla< Ada. Where is Ada?* is answered *2.*
///
/// What is said leaves the person asked for one place, in whatever order the others may stand; without any part of it there would
/// be more.
struct OrderingTasks {
    /// Someone stands before someone else; both by number.
    struct Clue: Hashable {
        let first: Int
        let second: Int
    }

    /// The most tokens of a turn, markers included.
    static func longestTurn(level: Int) -> Int { 4 * people(level: level) + 6 }

    /// The people of a level.
    private static func people(level: Int) -> Int { level + 2 }

    /// A question of a level with its answer.
    func turn(level: Int, _ generator: inout SplitMix64) -> Turn {
        let count = Self.people(level: level)
        let names = WordList.names.shuffled(using: &generator).prefix(count)
        let asked = Int.random(in: 0..<count, using: &generator)
        // Person i stands at place i, so a clue holds when its numbers rise.
        let pairs = (0..<count).flatMap { first in
            (first + 1..<count).map { Clue(first: first, second: $0) }
        }
        var clues = pairs.shuffled(using: &generator)
        for clue in clues {
            let others = clues.filter { $0 != clue }
            if Self.places(of: asked, people: count, others).count == 1 { clues = others }
        }
        precondition(
            Self.places(of: asked, people: count, clues) == [asked],
            "an answer that is not the only one"
        )
        let sentences = clues.map { [" " + names[$0.first], "<", " " + names[$0.second]] }
        var text = Array(sentences.joined(separator: [","]))
        text[0].removeFirst()
        return Turn(
            question: text + [".", " Where", " is", " " + names[asked], "?"],
            answer: ["\(asked + 1)", "."]
        )
    }

    /// The places someone can have, found by trying all orders in which every clue holds.
    static func places(of asked: Int, people: Int, _ clues: [Clue]) -> Set<Int> {
        var places = Set<Int>()
        var row: [Int] = []
        func extend() {
            guard row.count < people else {
                places.formUnion(row.indices.filter { row[$0] == asked })
                return
            }
            for person in 0..<people where !row.contains(person) {
                let isNext = clues.allSatisfy { $0.second != person || row.contains($0.first) }
                guard isNext else { continue }
                row.append(person)
                extend()
                row.removeLast()
            }
        }
        extend()
        return places
    }
}

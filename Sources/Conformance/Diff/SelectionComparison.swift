/// How the selections of two engines differ.
package struct SelectionComparison: Encodable, Equatable {
    /// The tokens whose selections differ.
    package private(set) var differingTokens = 0
    /// Of those, the tokens at which only tied scores were exchanged.
    package private(set) var tiedTokens = 0
    /// The share of all selected tokens that both selected.
    package private(set) var overlap = 1.0
    /// What theirs gives up: the share of our selection's score above the lowest visible one; nil without scores.
    package private(set) var scoreLost: Double?
    /// The first token that differs by more than a tie, else the first that differs.
    package private(set) var token: Int?
    /// The positions only ours selected for that token, ascending.
    package private(set) var onlyOurs: [Int32] = []
    /// The positions only theirs selected for that token, ascending.
    package private(set) var onlyTheirs: [Int32] = []
    /// What theirs looks like, where it is something else than a selection of scores.
    package private(set) var pattern: String?

    /// The first token at which tied scores were exchanged: later stages differ there with reason.
    let firstTie: Int?

    /// Compares the selections of tokens at positions 0, 1, 2, ….
    ///
    /// - Parameters:
    ///   - ours: one set a token.
    ///   - theirs: one set a token.
    ///   - scores: our index scores in rows of a width; nil where the dump has none.
    ///   - tie: scores closer together than this share of the largest of a row are tied.
    init(_ ours: [Set<Int32>], _ theirs: [Set<Int32>], scores: (width: Int, elements: [Float])?, tie: Double)
    {
        var (common, all) = (0, 0)
        var (kept, whole) = (0.0, 0.0)
        var (firstTie, firstDifference) = (Int?.none, Int?.none)
        for (token, (left, right)) in zip(ours, theirs).enumerated() {
            common += left.intersection(right).count
            all += left.union(right).count
            let row = scores.flatMap { scores in
                (token + 1) * scores.width <= scores.elements.count
                    ? ScoreRow(scores.elements[token * scores.width..<(token + 1) * scores.width]) : nil
            }
            if let row {
                kept += row.sum(right)
                whole += row.sum(left)
            }
            guard left != right else { continue }
            differingTokens += 1
            if row?.isTied(left.subtracting(right), right.subtracting(left), within: tie) == true {
                tiedTokens += 1
                firstTie = firstTie ?? token
            } else if firstDifference == nil {
                firstDifference = token
            }
        }
        self.firstTie = firstDifference == nil ? firstTie : nil
        overlap = all == 0 ? 1 : Double(common) / Double(all)
        scoreLost = whole > 0 ? 1 - kept / whole : nil
        token = firstDifference ?? firstTie
        if let token {
            onlyOurs = ours[token].subtracting(theirs[token]).sorted()
            onlyTheirs = theirs[token].subtracting(ours[token]).sorted()
        }
        pattern = firstDifference == nil ? nil : Self.pattern(ours, theirs)
    }

    private static func pattern(_ ours: [Set<Int32>], _ theirs: [Set<Int32>]) -> String? {
        let tokens = theirs.indices.filter { ours[$0] != theirs[$0] }
        if tokens.contains(where: { token in theirs[token].contains { Int($0) > token } }) {
            return "theirs selects tokens that come after the query token: a missing causal mask"
        }
        if tokens.allSatisfy({ theirs[$0] == Set(0...Int32($0)) }) {
            return "theirs selects every visible token: dense attention above top-k"
        }
        if tokens.allSatisfy({ token in
            !theirs[token].isEmpty
                && theirs[token] == Set(Int32(max(0, token + 1 - theirs[token].count))...Int32(token))
        }) {
            return "theirs selects the latest tokens: a sliding window"
        }
        if tokens.allSatisfy({ !theirs[$0].contains(Int32($0)) })
            && tokens.contains(where: { ours[$0].contains(Int32($0)) })
        {
            return "theirs never selects the query token itself: an exclusive end of the visible range"
        }
        if tokens.allSatisfy({ theirs[$0].count < ours[$0].count }) {
            return "theirs selects fewer tokens than ours: hidden tokens took places before they were dropped"
        }
        return nil
    }

    /// Writes the comparison into the row of its stage.
    func report(to row: inout StageDiff.Row) {
        row.selection = self
        row.misfit = 1 - overlap
        row.error = differingTokens == tiedTokens ? 0 : 1 - overlap
        row.hint = pattern
        guard let token else { return }
        row.note =
            "\(differingTokens) tokens differ"
            + (tiedTokens > 0 ? ", \(tiedTokens) of them by tied scores" : "")
            + (scoreLost.map { ", score lost \(share($0))" } ?? "")
            + "; token \(token): only ours \(listed(onlyOurs)), only theirs \(listed(onlyTheirs))"
    }

    private func share(_ value: Double) -> String {
        let percent = value * 100
        return percent.magnitude < 0.01 ? "under 0.01 %" : "\((percent * 100).rounded() / 100) %"
    }

    private func listed(_ positions: [Int32]) -> String {
        let shown = positions.prefix(8).map(String.init).joined(separator: ", ")
        return "[\(shown)\(positions.count > 8 ? ", … \(positions.count) in all" : "")]"
    }
}

/// The index scores of one query token.
private struct ScoreRow {
    private let scores: ArraySlice<Float>
    private let lowest: Float
    private let top: Float

    init(_ scores: ArraySlice<Float>) {
        self.scores = scores
        let finite = scores.filter(\.isFinite)
        lowest = finite.min() ?? 0
        top = finite.reduce(0) { max($0, $1.magnitude) }
    }

    private subscript(position: Int32) -> Float? {
        let index = scores.startIndex + Int(position)
        guard position >= 0, index < scores.endIndex, scores[index].isFinite else { return nil }
        return scores[index]
    }

    /// The scores of some positions above the lowest, added up.
    func sum(_ positions: Set<Int32>) -> Double {
        positions.sorted().reduce(0) { $0 + Double((self[$1] ?? lowest) - lowest) }
    }

    /// Whether the scores of two sets of positions cannot be told apart.
    func isTied(_ a: Set<Int32>, _ b: Set<Int32>, within tie: Double) -> Bool {
        guard a.count == b.count else { return false }
        let exchanged = a.union(b).map { self[$0] }
        guard !exchanged.contains(nil) else { return false }
        let values = exchanged.compactMap { $0 }
        return Double((values.max() ?? 0) - (values.min() ?? 0)) <= tie * Double(top)
    }
}

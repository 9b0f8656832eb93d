import Foundation
package import SparseAttention

/// Chooses the experts of each token: sigmoid scores, a correction bias for the choice, groups of experts.
///
/// The bias decides who is chosen, never with what weight. Groups are ranked by the sum of their two best
/// biased scores; experts of the groups left out cannot be chosen, however negative the others are.
///
/// Source: DeepSeek-V3 report §2.1.2; `inference/model.py`, `Gate`; Hugging Face `DeepseekV3TopkRouter`.
package struct Router: Sendable {
    /// How many experts are chosen, and among which.
    package struct Rule: Sendable {
        /// The experts chosen for each token.
        package let expertsPerToken: Int
        /// The groups the experts are divided into.
        package let groups: Int
        /// The groups whose experts may be chosen.
        package let keptGroups: Int
        /// Whether the weights of the chosen are divided by their sum.
        package let normalizes: Bool
        /// What weights are multiplied by at the end.
        package let scale: Float
        /// A mistake to make on purpose.
        package let mistake: Mistake?

        /// A rule.
        package init(
            expertsPerToken: Int,
            groups: Int,
            keptGroups: Int,
            normalizes: Bool,
            scale: Float,
            mistake: Mistake? = nil
        ) {
            self.mistake = mistake
            self.expertsPerToken = expertsPerToken
            self.groups = groups
            self.keptGroups = keptGroups
            self.normalizes = normalizes
            self.scale = scale
        }
    }

    /// One token's experts, ascending, each with its weight.
    package typealias Choice = [(expert: Int, weight: Float)]

    private let rule: Rule
    private let weight: WeightMatrix  // [experts, hiddenDim]
    private let bias: [Float]  // [experts]
    private let workers: Workers

    /// Keeps a sum of scores from being zero, as Hugging Face does.
    package static let smallestSum: Float = 1e-20

    /// A router.
    ///
    /// - Parameters:
    ///   - rule: how many experts are chosen, and among which.
    ///   - weight: `[experts, hiddenDim]`.
    ///   - bias: `[experts]`, added to the scores for the choice.
    ///   - workers: the threads to use.
    package init(rule: Rule, weight: WeightMatrix, bias: [Float], workers: Workers) {
        self.rule = rule
        self.weight = weight
        self.bias = bias
        self.workers = workers
    }

    /// Chooses the experts of every row.
    ///
    /// - Parameter rows: `[tokens, hiddenDim]`.
    /// - Returns: one choice a token.
    package func callAsFunction(_ rows: Tensor) -> [Choice] {
        choose(scores(rows))
    }

    /// The sigmoid scores of every row, without bias, `[tokens, experts]`.
    package func scores(_ rows: Tensor) -> Tensor {
        var scores = weight.apply(to: rows, workers: workers)
        scores.withMutableElements { scores in
            for index in scores.indices {
                scores[index] = 1 / (1 + exp(-scores[index]))
            }
        }
        return scores
    }

    /// Chooses by the scores of every row, `[tokens, experts]`.
    package func choose(_ scores: Tensor) -> [Choice] {
        let experts = weight.rows
        return scores.withElements { scores in
            (0..<scores.count / max(experts, 1)).map { row in
                choose((0..<experts).map { scores[row * experts + $0] })
            }
        }
    }

    private func choose(_ scores: [Float]) -> Choice {
        let biased = zip(scores, bias).map { $0 + $1 }
        let groupSize = biased.count / rule.groups
        let groupScores = (0..<rule.groups).map { group in
            biased[group * groupSize..<(group + 1) * groupSize].sorted(by: >).prefix(2).reduce(0, +)
        }
        let kept = best(rule.keptGroups, of: Array(groupScores.indices)) { groupScores[$0] }
        let leftOut: Float = rule.mistake == .groupMaskZero ? 0 : -.infinity
        let chosen = best(rule.expertsPerToken, of: Array(biased.indices)) { expert in
            kept.contains(expert / groupSize) ? biased[expert] : leftOut
        }
        return weigh(chosen, by: rule.mistake == .routerWeightsBiased ? biased : scores)
    }

    /// Weighs experts that were chosen before, by the scores of every row, `[tokens, experts]`.
    ///
    /// - Parameters:
    ///   - experts: of each token, ascending.
    ///   - scores: the sigmoid scores.
    /// - Returns: one choice a token.
    package func weigh(_ experts: [[Int]], by scores: Tensor) -> [Choice] {
        let count = weight.rows
        return scores.withElements { scores in
            experts.enumerated().map { row, chosen in
                weigh(chosen, by: (0..<count).map { scores[row * count + $0] })
            }
        }
    }

    private func weigh(_ chosen: [Int], by scores: [Float]) -> Choice {
        let sum = rule.normalizes ? chosen.reduce(0) { $0 + scores[$1] } + Self.smallestSum : 1
        return chosen.map { ($0, scores[$0] / sum * rule.scale) }
    }

    /// The candidates of highest score, ascending; of equal scores the earlier wins.
    private func best(_ count: Int, of candidates: [Int], score: (Int) -> Float) -> [Int] {
        candidates.sorted { score($0) > score($1) || (score($0) == score($1) && $0 < $1) }.prefix(count)
            .sorted()
    }
}

import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// The choice of experts, against its definition in `Double`.
final class RouterTests: XCTestCase {
    /// A rule, and the numbers to try it on.
    private struct Case: Hashable {
        var experts = 16
        var groups = 4
        var kept = 2
        var perToken = 4
        var normalizes = true
        var scale: Float = 2.5
        /// What all biases are moved by.
        var offset: Float = 0

        static let all = [
            Case(), Case(kept: 4), Case(kept: 1), Case(groups: 1, kept: 1),
            Case(groups: 8, kept: 3, perToken: 6),
            Case(perToken: 1), Case(perToken: 8), Case(normalizes: false), Case(scale: 1), Case(offset: -2),
            Case(kept: 1, offset: -2), Case(normalizes: false, offset: -2), Case(offset: 3),
            Case(experts: 256, groups: 8, kept: 4, perToken: 8),
            Case(experts: 7, groups: 7, kept: 7, perToken: 7),
            Case(experts: 1, groups: 1, kept: 1, perToken: 1),
        ]

        var rule: Router.Rule {
            Router.Rule(
                expertsPerToken: perToken,
                groups: groups,
                keptGroups: kept,
                normalizes: normalizes,
                scale: scale
            )
        }
    }

    private static let hiddenDim = 12

    /// The definition: ranks by sorting, in double precision throughout.
    private func reference(_ row: [Float], weight: [[Float]], bias: [Float], _ each: Case) -> [Int: Double] {
        let scores = weight.map { expert in
            1 / (1 + exp(-zip(row, expert).reduce(0.0) { $0 + Double($1.0) * Double($1.1) }))
        }
        let biased = zip(scores, bias).map { $0 + Double($1) }
        let size = each.experts / each.groups
        let groupScores = (0..<each.groups).map { group in
            biased[group * size..<(group + 1) * size].sorted(by: >).prefix(2).reduce(0, +)
        }
        func ranked(_ candidates: [Int], _ score: (Int) -> Double) -> [Int] {
            candidates.sorted { (score($0), -$0) > (score($1), -$1) }
        }
        let kept = Set(ranked(Array(0..<each.groups)) { groupScores[$0] }.prefix(each.kept))
        let allowed = (0..<each.experts).filter { kept.contains($0 / size) }
        let chosen = ranked(allowed) { biased[$0] }.prefix(each.perToken)
        let sum = each.normalizes ? chosen.reduce(0) { $0 + scores[$1] } : 1
        return Dictionary(uniqueKeysWithValues: chosen.map { ($0, scores[$0] / sum * Double(each.scale)) })
    }

    private func router(_ rule: Router.Rule, weight: Tensor, bias: [Float]) -> Router {
        Router(rule: rule, weight: WeightMatrix(weight), bias: bias, workers: .one)
    }

    func testEqualsItsDefinition() throws {
        assertDistinct(Case.all)
        for (seed, each) in Case.all.enumerated() {
            var generator = SeededGenerator(seed: UInt64(seed))
            let weight = generator.tensor([each.experts, Self.hiddenDim])
            let rows = generator.tensor([20, Self.hiddenDim], magnitude: 2)
            let bias = (0..<each.experts).map { _ in each.offset + 0.5 * generator.uniform() }
            let choices = router(each.rule, weight: weight, bias: bias)(rows)
            XCTAssertEqual(choices.count, 20)
            for (row, choice) in zip(rows.rowArrays, choices) {
                let expected = reference(row, weight: weight.rowArrays, bias: bias, each)
                XCTAssertEqual(choice.map(\.expert), expected.keys.sorted(), "\(each)")
                for (expert, weight) in choice {
                    XCTAssertEqual(Double(weight), expected[expert] ?? .nan, accuracy: 1e-5, "\(each)")
                }
            }
        }
    }

    func testNormalisedWeightsSumToTheScale() throws {
        for scale: Float in [1, 2.5] {
            var generator = SeededGenerator(seed: 5)
            let each = Case(scale: scale)
            let weight = generator.tensor([each.experts, Self.hiddenDim])
            let bias = [Float](repeating: 0, count: each.experts)
            for choice in router(each.rule, weight: weight, bias: bias)(
                generator.tensor([9, Self.hiddenDim])
            ) {
                XCTAssertEqual(choice.reduce(0) { $0 + $1.weight }, scale, accuracy: 1e-5)
                XCTAssertTrue(choice.allSatisfy { $0.weight > 0 })
            }
        }
    }

    func testTiesGoToTheLowerExpert() throws {
        // All experts score alike, so groups and experts are all equal.
        let weight = Tensor(repeating: 0, shape: [16, 3])
        let rows = Tensor(repeating: 1, shape: [2, 3])
        let each = Case()
        for offset: Float in [0, -4] {
            let bias = [Float](repeating: offset, count: 16)
            for choice in router(each.rule, weight: weight, bias: bias)(rows) {
                XCTAssertEqual(choice.map(\.expert), [0, 1, 2, 3])
                XCTAssertTrue(choice.allSatisfy { $0.weight == 0.625 }, "\(choice)")
            }
        }
        // The last group is better; in the group of the tie the lower experts win.
        let bias = (0..<16).map { Float($0 >= 13 ? 1 : 0) }
        let found = router(each.rule, weight: weight, bias: bias)(rows)
        XCTAssertEqual(found[0].map(\.expert), [0, 13, 14, 15])
    }

    func testTheBiasChoosesButDoesNotWeigh() throws {
        // Scores 0.5 everywhere; the bias picks experts 2 and 9, whose weights stay those of the scores.
        let weight = Tensor(repeating: 0, shape: [16, 3])
        let rows = Tensor(repeating: 1, shape: [1, 3])
        var bias = [Float](repeating: -5, count: 16)
        (bias[2], bias[9]) = (-1, 4)
        let each = Case(perToken: 2, normalizes: false, scale: 1)
        let choice = router(each.rule, weight: weight, bias: bias)(rows)[0]
        XCTAssertEqual(choice.map(\.expert), [2, 9])
        XCTAssertEqual(choice.map(\.weight), [0.5, 0.5])
    }

    func testExpertsOfOtherGroupsCannotBeChosen() throws {
        // Group 0 has the two best experts together, group 1 the best of all beside very bad ones; what is
        // left of group 0 is negative, and still chosen.
        let weight = Tensor(repeating: 0, shape: [8, 3])
        let rows = Tensor(repeating: 1, shape: [1, 3])
        let bias: [Float] = [2, 2, -9, -9, 3, -9, -9, -9]
        let each = Case(experts: 8, groups: 2, kept: 1, perToken: 4)
        XCTAssertEqual(router(each.rule, weight: weight, bias: bias)(rows)[0].map(\.expert), [0, 1, 2, 3])
    }

    func testExtremeScoresStayFinite() throws {
        let weight = try Tensor([1, -1, 1, -1], shape: [4, 1])
        let each = Case(experts: 4, groups: 1, kept: 1, perToken: 2)
        let bias: [Float] = [0, 9, 0, 9]
        // The chosen two score zero: the sum of their scores must not divide by zero.
        for choice in router(each.rule, weight: weight, bias: bias)(try Tensor([1e30, 200], shape: [2, 1])) {
            XCTAssertEqual(choice.map(\.expert), [1, 3])
            XCTAssertTrue(choice.allSatisfy { $0.weight.isFinite && $0.weight >= 0 }, "\(choice)")
        }
    }
}

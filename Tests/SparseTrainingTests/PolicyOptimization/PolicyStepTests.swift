import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Answers of a tiny model, and the gradients they lead to.
final class PolicyStepTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private var configuration: ModelConfiguration!
    private var parameters = ParameterSet()

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try TinyRun.write(to: folder)
        try TaskVocabulary().write(to: folder)
        configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        parameters = try ParameterSet(random: configuration, deviation: 0.3, seed: 5)
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    private func model(
        _ parameters: ParameterSet,
        _ precision: LanguageModel.Precision = .float32
    ) throws -> LanguageModel {
        let files = TrainingFiles(folder: folder)
        return try LanguageModel(
            contentsOf: files.model(of: parameters, workers: .one).folder,
            precision: precision,
            workers: .one
        )
    }

    private func step(_ settings: PolicySettings, workers: Workers = .one) throws -> PolicyStep {
        try PolicyStep(configuration, settings, mode: .sparseTraining, workers: workers)
    }

    /// Long texts, so that the indexers choose, with a question each.
    private func items(_ count: Int) -> [TaskItem] {
        let stream = TaskStream(seed: 4, split: .training)
        return (0..<count).map { stream.item(.needle, $0, length: 96) }
    }

    /// What training on a rollout sees.
    private func sample(_ rollout: Rollout, replay: Replay?) -> TrainableModel.Sample {
        let targets = zip(rollout.tokens.dropFirst(), rollout.allCandidates).map {
            Operators.CrossEntropy.Target(token: $0, weight: 0, candidates: $1)
        }
        return .init(tokens: rollout.tokens, targets: targets, replay: replay)
    }

    // MARK: Replay

    /// The largest and the mean distance of log-probabilities in training from those of the rollouts.
    private func gap(
        _ rollouts: [Rollout],
        replays: Bool
    ) throws -> (largest: Double, mean: Double) {
        let trained = try TrainableModel(configuration, workers: .one)
        let all = try trained.logProbabilities(
            rollouts.map { sample($0, replay: replays ? $0.replay : nil) },
            parameters,
            attention: .sparse
        )
        let distances = zip(rollouts, all).flatMap { rollout, all in
            zip(rollout.drawn, rollout.logProbabilities).map { abs(Double(all[$0 - 1]) - Double($1)) }
        }
        return (distances.max() ?? 0, distances.reduce(0, +) / Double(max(distances.count, 1)))
    }

    private func rollouts(_ precision: LanguageModel.Precision, topP: Double = 1) throws -> [Rollout] {
        let policy = try model(parameters, precision)
        let options = RolloutOptions(maxTokens: 12, topP: topP, endTokens: [TaskVocabulary.end])
        return try items(12).enumerated().map { index, item in
            let question = try XCTUnwrap(item.questions.first?.answer)
            return try policy.rollout(
                Array(item.tokens[..<question.lowerBound]),
                options: options,
                seed: UInt64(index)
            )
        }
    }

    func testTrainingSeesTheProbabilitiesOfTheRollout() throws {
        for topP in [1, 0.6] {
            let rollouts = try rollouts(.float32, topP: topP)
            XCTAssertTrue(rollouts.allSatisfy { $0.replay.selections.contains { $0 != nil } })
            XCTAssertTrue(rollouts.allSatisfy { $0.replay.experts[1]?.count == $0.tokens.count })
            XCTAssertEqual(rollouts.contains { $0.candidates.contains { $0 != nil } }, topP < 1)
            XCTAssertLessThan(try gap(rollouts, replays: true).largest, 2e-5, "top-p \(topP)")
        }
    }

    /// Written in other numerics, an answer was routed and attended otherwise here and there; replay takes that part of the
    /// distance away.
    func testWithoutReplayOtherNumericsAreAnotherPolicy() throws {
        let rollouts = try rollouts(.bfloat16)
        let (with, without) = (try gap(rollouts, replays: true), try gap(rollouts, replays: false))
        XCTAssertLessThan(with.mean, 0.75 * without.mean)
        XCTAssertLessThan(with.largest, without.largest)
        XCTAssertGreaterThan(with.mean, 0)
    }

    func testDecisionsOfAnotherTextAreRefused() throws {
        let rollout = try XCTUnwrap(try rollouts(.float32).first)
        let trained = try TrainableModel(configuration, workers: .one)
        var changes: [(inout Replay) -> Void] = []
        changes.append { $0.experts.removeLast() }
        changes.append { $0.selections.removeLast() }
        changes.append { $0.experts[1]?.removeLast() }
        changes.append { $0.experts[1]?[0] = [1] }
        changes.append { $0.experts[1]?[0] = [1, 4] }
        changes.append { $0.selections[0] = .everything(queryTokens: 2, position: 0) }
        for (index, change) in changes.enumerated() {
            var replay = rollout.replay
            change(&replay)
            XCTAssertThrowsError(
                try trained.logProbabilities(
                    [sample(rollout, replay: rollout.replay), sample(rollout, replay: replay)],
                    parameters,
                    attention: .sparse
                ),
                "\(index)"
            ) { XCTAssertTrue($0 is SparseAttentionError, "\($0)") }
        }
        let partly = [sample(rollout, replay: rollout.replay), sample(rollout, replay: nil)]
        XCTAssertThrowsError(try trained.logProbabilities(partly, parameters, attention: .sparse)) {
            XCTAssertTrue("\($0)".contains("replayed sequences is 1, expected 2"), "\($0)")
        }
    }

    // MARK: Gradients

    private let settings = PolicySettings(
        answers: 3,
        answerTokens: 6,
        advantage: .sampleDeviation,
        clip: 0.2,
        divergenceWeight: 0.3
    )

    /// Rewards for nothing in particular, but different for each answer.
    private struct AnyReward: Reward {
        func callAsFunction(_ answer: [[Int]], to item: TaskItem, outcome: Float) -> Float {
            Float(answer.joined().reduce(0) { ($0 * 31 + $1) % 17 })
        }
    }

    private func answers(_ step: PolicyStep, reference: ParameterSet) throws -> [PolicyStep.Answer] {
        try step.answers(
            to: items(2),
            by: model(parameters),
            reference: reference,
            reward: AnyReward(),
            seed: 8
        )
    }

    /// The loss as it is defined, of parameters that have moved.
    private func loss(_ answers: [PolicyStep.Answer], _ parameters: ParameterSet) throws -> Double {
        let trained = try TrainableModel(configuration, workers: .one)
        let policy = GroupRelativePolicy(
            clip: settings.clip,
            divergenceWeight: settings.divergenceWeight,
            divergence: settings.divergence
        )
        let current = try answers.map { answer in
            let all = try trained.logProbabilities(
                [sample(answer.rollout, replay: answer.rollout.replay)],
                parameters,
                attention: .sparse
            )
            return Array(all[0].suffix(answer.rollout.logProbabilities.count))
        }
        let tokens = GroupRelativePolicy.Tokens(
            current: current,
            old: answers.map(\.rollout.logProbabilities),
            reference: answers.map(\.reference),
            counts: current.map { $0.map { _ in true } }
        )
        return Double(policy.loss(tokens, advantages: answers.map(\.advantage)).loss)
    }

    func testGradientsAreSlopesOfTheLoss() throws {
        let step = try step(settings)
        let reference = try ParameterSet(random: configuration, deviation: 0.3, seed: 6)
        let answers = try answers(step, reference: reference)
        XCTAssertEqual(answers.count, 6)
        // Some way off the policy that answered, so that ratios are not 1.
        var moved = parameters
        var noise = SeededGenerator(seed: 2)
        for name in moved.names where !name.contains("bias") && !name.contains(".indexer.") {
            moved.mutate(name) { $0.add(noise.tensor($0.shape).scaled(by: 0.01)) }
        }
        let result = try step(answers, moved)
        XCTAssertEqual(result.loss, try loss(answers, moved), accuracy: 1e-5)
        for name in [
            "model.embed_tokens.weight", "model.layers.0.self_attn.kv_b_proj.weight",
            "model.layers.1.mlp.gate.weight", "model.layers.1.mlp.shared_experts.up_proj.weight",
            "model.norm.weight", "lm_head.weight",
        ] {
            let gradient = result.gradients[name]
            // Along the gradient itself the slope is its squared length.
            let length = gradient.elements.reduce(0.0) { $0 + Double($1) * Double($1) }
            let step = 2e-3 / length.squareRoot()
            let values = try [1.0, -1].map { sign in
                var other = moved
                other.mutate(name) { $0.add(gradient.scaled(by: Float(sign * step))) }
                return try loss(answers, other)
            }
            let slope = (values[0] - values[1]) / (2 * step)
            XCTAssertEqual(slope / length, 1, accuracy: 0.02, name)
        }
    }

    func testNoGradientOfRewardsReachesTheIndexers() throws {
        let step = try step(settings)
        let answers = try answers(step, reference: parameters)
        let turned = answers.map { answer in
            var answer = answer
            answer.advantage *= -3
            return answer
        }
        let (one, other) = (try step(answers, parameters).gradients, try step(turned, parameters).gradients)
        for name in one.names {
            let isSame = one[name].isBitwiseEqual(to: other[name])
            XCTAssertEqual(isSame, name.contains(".indexer."), name)
        }
    }

    func testAnyNumberOfThreadsGivesTheSameBits() throws {
        let results = try [1, 2, 5].map { count in
            let step = try step(settings, workers: Workers(count: count))
            return try step(answers(step, reference: parameters), parameters)
        }
        for result in results.dropFirst() {
            XCTAssertEqual(result.measures, results[0].measures)
            for name in result.gradients.names {
                XCTAssertTrue(result.gradients[name].isBitwiseEqual(to: results[0].gradients[name]), name)
            }
        }
    }

    // MARK: Replies

    /// Replies to the first two turns.
    private struct TwoReplies: Environment {
        func reply(to turns: [[Int]]) -> [Int]? {
            turns.count < 3 ? [TaskVocabulary.user, 20 + turns.count, TaskVocabulary.assistant] : nil
        }
    }

    /// A turn ends at every third token here, so that a random model comes to several.
    private func conversations() throws -> [Rollout] {
        let policy = try model(parameters, .float32)
        let ends = Set((0..<configuration.vocabularySize).filter { $0.isMultiple(of: 3) })
        let options = RolloutOptions(maxTokens: 12, endTokens: ends)
        return try (0..<8).map { index in
            try policy.rollout(
                Array(30..<60),
                environment: TwoReplies(),
                options: options,
                seed: UInt64(index)
            )
        }
    }

    func testRepliesStandBetweenTurns() throws {
        let rollouts = try conversations()
        XCTAssertTrue(rollouts.contains { $0.turns.count == 3 })
        for rollout in rollouts {
            XCTAssertEqual(Array(rollout.tokens[..<30]), Array(30..<60))
            XCTAssertEqual(rollout.turns.first?.lowerBound, 30)
            for (number, pair) in zip(rollout.turns, rollout.turns.dropFirst()).enumerated() {
                XCTAssertEqual(
                    Array(rollout.tokens[pair.0.upperBound..<pair.1.lowerBound]),
                    TwoReplies().reply(to: Array(rollout.answer[...number]))
                )
            }
            for turn in rollout.turns {
                XCTAssertTrue(rollout.tokens[turn].dropLast().allSatisfy { !$0.isMultiple(of: 3) })
            }
            XCTAssertEqual(rollout.drawn.count, rollout.logProbabilities.count)
            XCTAssertLessThanOrEqual(rollout.drawn.count, 12)
        }
        XCTAssertLessThan(try gap(rollouts, replays: true).largest, 2e-5)
    }

    // MARK: Learning

    /// Better the more tokens are below 100.
    private struct SmallTokens: Reward {
        func callAsFunction(_ answer: [[Int]], to item: TaskItem, outcome: Float) -> Float {
            Float(answer.joined().filter { $0 < 100 }.count) / Float(answer.joined().count)
        }
    }

    func testAnswersGetBetter() throws {
        let settings = PolicySettings(answers: 8, answerTokens: 4, updates: 2, offPolicyLimit: 0.5)
        let step = try step(settings, workers: .all)
        var optimizer = AdamW(.init(beta2: 0.95))
        var rewards: [Double] = []
        for round in 0..<12 {
            let answers = try step.answers(
                to: items(2),
                by: model(parameters),
                reference: ParameterSet(),
                reward: SmallTokens(),
                seed: UInt64(1000 * round)
            )
            for _ in 0..<2 {
                let result = try step(answers, parameters)
                if rewards.count == round { rewards.append(result.measures.reward) }
                optimizer.update(&parameters, by: result.gradients, workers: .all) { name in
                    name.contains(".indexer.") ? 0 : 0.02
                }
            }
        }
        XCTAssertLessThan(rewards[0], 0.4)
        XCTAssertGreaterThan(rewards.suffix(3).reduce(0, +) / 3, rewards[0] + 0.3, "\(rewards)")
    }

    /// Right as far as it has tokens of a kind.
    private struct EvenTokens: AnswerJudge {
        func outcome(of turns: [[Int]], expected: [[Int]]) -> Float {
            Float(turns.joined().count { $0.isMultiple(of: 2) }) / Float(turns.joined().count)
        }
    }

    func testOutcomesAreThoseOfTheQuestionsJudge() throws {
        let settings = PolicySettings(answers: 4, answerTokens: 2)
        let step = try step(settings)
        let items = items(2).map { item in
            var item = item
            item.questions[0].judge = EvenTokens()
            return item
        }
        let answers = try step.answers(
            to: items,
            by: model(parameters),
            reference: ParameterSet(),
            reward: WeightedReward(weights: RewardWeights(length: 0.5), longest: 2),
            seed: 3
        )
        for answer in answers {
            let tokens = answer.rollout.answer
            let outcome = EvenTokens().outcome(of: tokens, expected: [])
            XCTAssertEqual(answer.isRight, outcome == 1)
            XCTAssertEqual(answer.reward, outcome - 0.25 * Float(tokens.joined().count))
        }
        XCTAssertTrue(Set(answers.map(\.isRight)).count == 2, "some right, some wrong")
    }

    func testWorseAnswersOfAPolicyThatHasMovedNoLongerCount() {
        func isMasked(_ advantage: Float, _ current: [Float], limit: Float = 0.5) -> Bool {
            GroupRelativePolicy.isMasked(advantage: advantage, current: current, old: [-1, -2], limit: limit)
        }
        XCTAssertTrue(isMasked(-1, [-2, -3]))
        XCTAssertFalse(isMasked(1, [-2, -3]))
        XCTAssertFalse(isMasked(0, [-2, -3]))
        XCTAssertFalse(isMasked(-1, [-1.5, -2.5]), "at the limit")
        XCTAssertFalse(isMasked(-1, [-0.1, -0.1]), "moved towards it")
        XCTAssertFalse(isMasked(-1, [-2, -3], limit: 1.5))
    }
}

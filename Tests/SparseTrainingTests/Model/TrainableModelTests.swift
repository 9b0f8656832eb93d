import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Whole steps of a tiny random model: who trains whom, threads, and refusals.
///
/// Values are compared with a framework's in the golden data.
final class TrainableModelTests: XCTestCase {
    private func configuration() throws -> ModelConfiguration {
        let json = """
            {"model_type": "deepseek_v32", "vocab_size": 40, "hidden_size": 16, "intermediate_size": 24,
             "moe_intermediate_size": 8, "num_hidden_layers": 2, "num_attention_heads": 2,
             "num_key_value_heads": 2, "n_routed_experts": 4, "n_shared_experts": 1, "num_experts_per_tok": 2,
             "n_group": 2, "topk_group": 1, "norm_topk_prob": true, "routed_scaling_factor": 1.5,
             "first_k_dense_replace": 1, "q_lora_rank": 12, "kv_lora_rank": 8, "qk_nope_head_dim": 6,
             "qk_rope_head_dim": 4, "v_head_dim": 6, "index_n_heads": 2, "index_head_dim": 8, "index_topk": 5,
             "max_position_embeddings": 128, "rms_norm_eps": 1e-6, "rope_theta": 10000.0}
            """
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try Data(json.utf8).write(to: file)
        defer { try? FileManager.default.removeItem(at: file) }
        return try ModelConfiguration(contentsOf: file)
    }

    private func parameters(_ configuration: ModelConfiguration) throws -> ParameterSet {
        var generator = SeededGenerator(seed: 9)
        var parameters = ParameterSet()
        for (name, shape) in configuration.weightShapes {
            parameters[name] = generator.tensor(try Shape(shape), magnitude: 0.5)
        }
        return parameters
    }

    private let example = TrainableModel.Example(tokens: (0..<21).map { $0 * 7 % 40 }, weight: 0.05)

    private func run(
        _ mode: TrainingMode,
        workers: Workers = .all
    ) throws -> (outcome: TrainableModel.Outcome, gradients: ParameterSet) {
        let configuration = try configuration()
        var gradients = ParameterSet()
        let outcome = try TrainableModel(configuration, workers: workers).accumulate(
            [example],
            parameters(configuration),
            mode: mode,
            into: &gradients
        )
        return (outcome, gradients)
    }

    func testWarmUpTrainsTheIndexerAlone() throws {
        let (outcome, gradients) = try run(.denseWarmUp)
        XCTAssertEqual(outcome.losses, [])
        XCTAssertEqual(outcome.indexerLosses.map(\.count), [21, 21])
        XCTAssertEqual(gradients.names.count, 10)
        XCTAssertTrue(gradients.names.allSatisfy { $0.contains(".indexer.") }, "\(gradients.names)")
        XCTAssertTrue(gradients.names.allSatisfy { gradients[$0].elements.contains { $0 != 0 } })
    }

    func testSparseTrainingKeepsTheTwoLossesApart() throws {
        let both = try run(.sparseTraining).gradients
        let trunk = try run(TrainingMode(attention: .sparse, trainsTrunk: true, trainsIndexer: false))
            .gradients
        let indexer = try run(TrainingMode(attention: .sparse, trainsTrunk: false, trainsIndexer: true))
            .gradients
        XCTAssertTrue(trunk.names.allSatisfy { !$0.contains(".indexer.") })
        XCTAssertTrue(indexer.names.allSatisfy { $0.contains(".indexer.") })
        XCTAssertEqual(Set(both.names), Set(trunk.names).union(indexer.names))
        for name in both.names {
            let alone = trunk.find(name) ?? indexer.find(name)
            XCTAssertTrue(alone.map { both[name].isBitwiseEqual(to: $0) } == true, name)
        }
    }

    func testTheClosedFormStartFollowsTheMainAttention() throws {
        let configuration = try configuration()
        let model = try TrainableModel(configuration)
        let tokens = (0..<120).map { $0 * $0 * 7 % 40 }
        var parameters = try parameters(configuration)
        let random = try model.attentionMass(tokens, parameters, every: 1)
        let trunk = parameters
        try model.startIndexers(of: &parameters, on: tokens)
        for name in parameters.names {
            let isSame = parameters[name].isBitwiseEqual(to: trunk[name])
            XCTAssertEqual(isSame, !name.contains(".indexer."), name)
            XCTAssertEqual(parameters[name].shape, trunk[name].shape)
        }
        let started = try model.attentionMass(tokens, parameters, every: 1)
        for layer in 0..<2 {
            let (floor, ceiling) = (random.selected[layer], random.best[layer])
            XCTAssertGreaterThan(started.selected[layer], (floor + ceiling) / 2, "layer \(layer)")
        }
        // Scores are of a size to train on from there.
        func losses(_ parameters: ParameterSet) throws -> [Float] {
            var gradients = ParameterSet()
            return try model.accumulate(
                [TrainableModel.Example(tokens: tokens, weight: 1)],
                parameters,
                mode: .denseWarmUp,
                into: &gradients
            ).indexerLosses.map { $0.reduce(0, +) / Float($0.count) }
        }
        for (before, after) in zip(try losses(trunk), try losses(parameters)) {
            XCTAssertLessThan(after, before)
        }
    }

    func testSparseAndDenseDiffer() throws {
        let sparse = try run(TrainingMode(attention: .sparse, trainsTrunk: true, trainsIndexer: false))
        let dense = try run(.densePretraining)
        XCTAssertNotEqual(sparse.outcome.losses, dense.outcome.losses)
        for token in 0..<4 {  // they predict from at most top-k tokens
            XCTAssertEqual(sparse.outcome.losses[0][token], dense.outcome.losses[0][token], accuracy: 1e-5)
        }
    }

    func testAnyNumberOfThreadsGivesTheSameBits() throws {
        for mode in [TrainingMode.densePretraining, .denseWarmUp, .sparseTraining] {
            let one = try run(mode, workers: .one)
            for count in [2, 3, 5] {
                let many = try run(mode, workers: Workers(count: count))
                XCTAssertEqual(many.outcome.losses, one.outcome.losses)
                XCTAssertEqual(many.outcome.indexerLosses, one.outcome.indexerLosses)
                XCTAssertEqual(many.gradients.names, one.gradients.names)
                for name in one.gradients.names {
                    XCTAssertTrue(
                        many.gradients[name].isBitwiseEqual(to: one.gradients[name]),
                        "\(mode) \(count) \(name)"
                    )
                }
            }
        }
    }

    /// Sequences shorter than top-k, no longer, and longer, as one pack and each by itself.
    func testAPackIsTheSumOfItsSequences() throws {
        let configuration = try configuration()
        let parameters = try parameters(configuration)
        let model = try TrainableModel(configuration)
        let examples = [3, 21, 5, 2, 13].map { count in
            TrainableModel.Example(
                tokens: (0..<count).map { ($0 * 7 + count) % 40 },
                weights: (0..<count).map { Float($0) * 0.01 }
            )
        }
        var modes = [TrainingMode.densePretraining, .denseWarmUp, .sparseTraining]
        modes.append(TrainingMode(attention: .dense, trainsTrunk: true, trainsIndexer: true))
        modes.append(.sparseTraining)
        modes[4].balanceLoss = 0.1
        for mode in modes {
            var (together, apart) = (ParameterSet(), ParameterSet())
            let pack = try model.accumulate(examples, parameters, mode: mode, into: &together)
            let each = try examples.map {
                try model.accumulate([$0], parameters, mode: mode, into: &apart)
            }
            assertClose(pack.losses.flatMap { $0 }, each.flatMap { $0.losses.flatMap { $0 } })
            XCTAssertEqual(pack.losses.map(\.count), mode.trainsTrunk ? [2, 20, 4, 1, 12] : [])
            for layer in pack.indexerLosses.indices {
                assertClose(pack.indexerLosses[layer], each.flatMap { $0.indexerLosses[layer] })
            }
            XCTAssertEqual(pack.indexerLosses.count, each[0].indexerLosses.count)
            XCTAssertEqual(pack.loads, each.map(\.loads).summed)
            XCTAssertEqual(together.names, apart.names)
            for name in apart.names {
                let scale = apart[name].elements.reduce(1e-3) { max($0, abs($1)) }
                assertClose(together[name].elements, apart[name].elements, within: 2e-4 * scale, name)
            }
        }
    }

    private func assertClose(
        _ found: [Float],
        _ expected: [Float],
        within accuracy: Float = 1e-4,
        _ message: String = "",
        line: UInt = #line
    ) {
        XCTAssertEqual(found.count, expected.count, message, line: line)
        let distances = zip(found, expected).map { abs($0 - $1) }
        XCTAssertLessThanOrEqual(distances.max() ?? 0, accuracy, message, line: line)
    }

    func testBalanceLossReachesTheRouterAlone() throws {
        var mode = TrainingMode.densePretraining
        let plain = try run(mode)
        mode.balanceLoss = 0.1
        let balanced = try run(mode)
        XCTAssertEqual(balanced.outcome.losses, plain.outcome.losses)
        XCTAssertEqual(balanced.outcome.loads.map { $0.reduce(0, +) }, [0, 42])
        let gate = "model.layers.1.mlp.gate.weight"
        XCTAssertFalse(balanced.gradients[gate].isBitwiseEqual(to: plain.gradients[gate]))
        let norm = "model.norm.weight"
        XCTAssertTrue(balanced.gradients[norm].isBitwiseEqual(to: plain.gradients[norm]))
    }

    func testRefusals() throws {
        let configuration = try configuration()
        let model = try TrainableModel(configuration)
        var parameters = try parameters(configuration)
        var gradients = ParameterSet()
        func accumulate(_ tokens: [Int]) throws {
            _ = try model.accumulate(
                [.init(tokens: tokens, weight: 1)],
                parameters,
                mode: .densePretraining,
                into: &gradients
            )
        }
        XCTAssertThrowsError(try accumulate([1]))
        XCTAssertThrowsError(try accumulate([1, 40])) {
            XCTAssertTrue("\($0)".contains("token 40 is not in the vocabulary of 40 tokens"), "\($0)")
        }
        parameters["lm_head.weight"] = Tensor(shape: [40, 15])
        XCTAssertThrowsError(try accumulate([1, 2])) {
            XCTAssertTrue("\($0)".contains("lm_head.weight"), "\($0)")
        }
        XCTAssertEqual(gradients.names, [])
    }
}

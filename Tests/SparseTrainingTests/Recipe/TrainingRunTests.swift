import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Runs of a tiny recipe: all stages, interruptions, refusals.
final class TrainingRunTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try TinyRun.write(to: folder)
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    private func run(_ name: String, threads: Int? = nil, stoppingAfter steps: Int? = nil) throws -> Bool {
        let run = try TrainingRun(
            recipe: folder.appendingPathComponent("recipe.json"),
            configuration: folder.appendingPathComponent("config.json"),
            folder: folder.appendingPathComponent(name),
            threads: threads
        )
        var done = 0
        return try run.run { _ in
            done += 1
            return done < steps ?? .max
        }
    }

    private func bytes(_ path: String) throws -> Data {
        try Data(contentsOf: folder.appendingPathComponent(path))
    }

    func testEveryStageLeavesAModelThatRuns() throws {
        XCTAssertTrue(try run("a"))
        for stage in ["dense", "warm-up", "sparse"] {
            let model = try LanguageModel(contentsOf: folder.appendingPathComponent("a/" + stage))
            let tokens = try XCTUnwrap(model.tokenizer).encode("Where is the brass key?")
            XCTAssertEqual(try Session(model, capacity: 16).extend(by: tokens).count, 760)
        }
        let lines = try String(decoding: bytes("a/log.jsonl"), as: UTF8.self).split(separator: "\n")
        XCTAssertEqual(lines.count, 8)
        XCTAssertTrue(lines[0].contains("\"loss\"") && !lines[0].contains("indexerLoss"), "\(lines[0])")
        XCTAssertTrue(lines[3].contains("indexerLoss") && !lines[3].contains("\"loss\""), "\(lines[3])")
        XCTAssertTrue(lines[7].contains("indexerLoss") && lines[7].contains("\"loss\""), "\(lines[7])")
    }

    func testTheWarmUpMovesTheIndexerAlone() throws {
        XCTAssertTrue(try run("a"))
        let (dense, warm) = (
            try Checkpoint(contentsOf: folder.appendingPathComponent("a/dense")),
            try Checkpoint(contentsOf: folder.appendingPathComponent("a/warm-up"))
        )
        for name in dense.names {
            let isSame = try dense.floats(of: name) == warm.floats(of: name)
            XCTAssertEqual(isSame, !name.contains(".indexer."), name)
        }
    }

    func testHandOversTellWhatSelectionsKeepAndThatLossesStayApart() throws {
        let run = try TrainingRun(
            recipe: folder.appendingPathComponent("recipe.json"),
            configuration: folder.appendingPathComponent("config.json"),
            folder: folder.appendingPathComponent("a")
        )
        XCTAssertTrue(try run.run())
        let handOvers = try run.handOvers
        XCTAssertEqual(handOvers.map(\.stage), ["warm-up", "warm-up", "warm-up", "sparse", "sparse"])
        XCTAssertEqual(handOvers.map(\.moment), [.before, .started, .after, .before, .after])
        for handOver in handOvers {
            XCTAssertEqual(handOver.k, 16)
            XCTAssertEqual(handOver.trunkGradientOfIndexerLoss, 0)
            XCTAssertEqual(handOver.indexerGradientOfLanguageLoss, 0)
            let mass = try XCTUnwrap(handOver.mass)
            for layer in 0..<2 {
                XCTAssertGreaterThan(mass.selected[layer], 0)
                XCTAssertGreaterThanOrEqual(mass.best[layer], mass.selected[layer])
            }
        }
        // The trunk is the same at all three checks of the warm-up, the selections are not.
        XCTAssertEqual(handOvers[0].mass?.best, handOvers[2].mass?.best)
        XCTAssertNotEqual(handOvers[0].mass?.selected, handOvers[1].mass?.selected)
        XCTAssertNotEqual(handOvers[1].mass?.selected, handOvers[2].mass?.selected)
        XCTAssertEqual(try run.log.lines.map(\.step), [1, 2, 3, 1, 2, 1, 2, 3])
        try Data("{}\n".utf8).write(to: folder.appendingPathComponent("a/log.jsonl"))
        XCTAssertThrowsError(try run.log) {
            XCTAssertEqual("\($0)", "log.jsonl: line 1: is no step of a run")
        }
    }

    func testARunBeginsWithACheckpointThatMayLackIndexers() throws {
        XCTAssertTrue(try run("a"))
        // The dense model without its indexers, as if it had never had any.
        let source = folder.appendingPathComponent("a/dense")
        let dense = folder.appendingPathComponent("never-sparse")
        try FileManager.default.copyItem(at: source, to: dense)
        let checkpoint = try Checkpoint(contentsOf: source)
        var tensors: [String: StoredTensor] = [:]
        for name in checkpoint.names where !name.contains(".indexer.") {
            let shape = try XCTUnwrap(checkpoint.entry(name)).shape
            tensors[name] = StoredTensor(try checkpoint.floats(of: name), shape: shape)
        }
        try SafetensorsWriter.write(tensors, to: dense.appendingPathComponent("model.safetensors"))
        func begin(_ name: String, _ start: URL?) throws -> TrainingRun {
            try TrainingRun(
                recipe: folder.appendingPathComponent("recipe.json"),
                configuration: folder.appendingPathComponent("config.json"),
                folder: folder.appendingPathComponent(name),
                start: start
            )
        }
        XCTAssertTrue(try begin("b", dense).run())
        XCTAssertNotEqual(try bytes("b/sparse/model.safetensors"), try bytes("a/sparse/model.safetensors"))
        // Gone on without a word about the checkpoint, it ends the same.
        XCTAssertFalse(try begin("c", dense).run { _ in false })
        XCTAssertTrue(try begin("c", nil).run())
        XCTAssertEqual(try bytes("c/sparse/model.safetensors"), try bytes("b/sparse/model.safetensors"))
        for (name, start) in [("c", source), ("a", dense)] {
            XCTAssertThrowsError(try begin(name, start)) {
                XCTAssertEqual($0 as? TrainingFault, .anotherRun(file: "start"))
            }
        }
        XCTAssertThrowsError(try begin("d", folder.appendingPathComponent("a/none")))
    }

    func testInterruptedRunsEndTheSameBitForBit() throws {
        XCTAssertTrue(try run("whole"))
        for threads in [1, 3] {
            let name = "threads-\(threads)"
            var calls = 0
            while try !run(name, threads: threads, stoppingAfter: calls % 3 + 1) { calls += 1 }
            XCTAssertGreaterThan(calls, 2)
            for path in ["dense/model.safetensors", "sparse/model.safetensors", "state/state.safetensors"] {
                XCTAssertEqual(try bytes("\(name)/\(path)"), try bytes("whole/\(path)"), "\(name) \(path)")
            }
            let lines = String(decoding: try bytes("\(name)/log.jsonl"), as: UTF8.self).split(separator: "\n")
            XCTAssertEqual(lines.count, 8)
            XCTAssertEqual(try bytes("\(name)/handovers.jsonl"), try bytes("whole/handovers.jsonl"), name)
        }
    }

    /// A dense stage, and one that learns from its own answers.
    private func writePolicyRecipe(_ change: (from: String, to: String)? = nil) throws {
        var text = """
            {"seed": 3, "initialDeviation": 0.1, "stages": [
             {"name": "dense", "kind": "densePretraining", "steps": 1, "sequences": 4, "length": 64, "questions": 2,
              "mixture": {"copy": 1}, "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"}},
             {"name": "policy", "kind": "policyOptimization", "steps": 3, "sequences": 2, "length": 64, "questions": 1,
              "mixture": {"needle": 1, "arithmetic": 1}, "clip": 1,
              "learningRate": {"peak": 0.01, "end": 0, "warmUpSteps": 0, "shape": "constant"},
              "policy": {"answers": 3, "answerTokens": 4, "topP": 0.9, "advantage": "sampleDeviation", "clip": 0.2,
                         "divergenceWeight": 0.1, "divergence": "ratioWeighted", "updates": 2, "offPolicyLimit": 0.1,
                         "rewards": {"length": 0.5}}}]}
            """
        if let change { text = text.replacingOccurrences(of: change.from, with: change.to) }
        try Data(text.utf8).write(to: folder.appendingPathComponent("recipe.json"))
    }

    func testAPolicyIsOptimizedWithInterruptionsAndWithout() throws {
        try writePolicyRecipe()
        XCTAssertTrue(try run("whole", threads: 1))
        for threads in [1, 3] {
            while try !run("threads-\(threads)", threads: threads, stoppingAfter: 1) {}
            for path in ["policy/model.safetensors", "state/state.safetensors"] {
                XCTAssertEqual(try bytes("threads-\(threads)/\(path)"), try bytes("whole/\(path)"), path)
            }
        }
        let log = try TrainingLog(contentsOf: folder.appendingPathComponent("whole/log.jsonl"))
        XCTAssertNil(log.lines[0].policy)
        let measures = log.lines.compactMap(\.policy)
        XCTAssertEqual(measures.count, 3)
        XCTAssertTrue(measures.contains { $0.selectionOverlap != nil })
        XCTAssertTrue(log.lines.allSatisfy { ($0.expertViolation ?? -1) > 0 })
        for measure in measures {
            XCTAssertLessThan(measure.gap, 2e-5)
            XCTAssertGreaterThan(measure.entropy, 0)
            // Rollouts of float32 select what training does.
            XCTAssertEqual(measure.selectionOverlap ?? 1, 1)
            XCTAssertTrue((1...4).contains(measure.answerTokens))
            // No tiny model is right; what is left of the reward is the penalty.
            XCTAssertEqual(measure.reward, measure.accuracy - 0.5 * measure.answerTokens / 4, accuracy: 1e-6)
        }
        // The second update begins with parameters that have moved.
        XCTAssertGreaterThan(try XCTUnwrap(measures[2].divergence), 0)
    }

    func testPolicyStagesAreRefusedForWhatTheyCannotBe() throws {
        for (from, to, message) in [
            ("\"answers\": 3", "\"answers\": 1", "policy.policy.answers is 1, expected 2 to 1024"),
            ("\"topP\": 0.9", "\"topP\": 0", "policy.policy.topP is 0.0, expected above 0, at most 1"),
            ("\"updates\": 2", "\"updates\": 0", "policy.policy.updates is 0, expected 1 to 1024"),
            ("\"clip\": 0.2", "\"clip\": 1", "policy.policy.clip is 1.0, expected above 0, below 1"),
            ("\"divergenceWeight\": 0.1", "\"divergenceWeight\": -1", "expected a number of at least 0"),
            ("\"offPolicyLimit\": 0.1", "\"offPolicyLimit\": -1", "expected a number of at least 0"),
            ("\"length\": 0.5", "\"length\": -1", "expected a number of at least 0"),
            (
                "\"length\": 0.5", "\"language\": -1",
                "policy.policy.rewards.language is -1.0, expected a number"
            ),
            (
                "\"needle\": 1", "\"logic\": 1",
                "vocab_size is 760, expected at least 899, the tokens of the task logic"
            ),
            (
                "\"mixture\": {\"copy\": 1}", "\"mixture\": {\"copy\": 1}, \"languages\": {\"german\": 2}",
                "dense.languages.german is 2.0, expected a share of 0 to 1"
            ),
            (
                "\"mixture\": {\"copy\": 1}",
                "\"mixture\": {\"copy\": 1}, \"languages\": {\"french\": 1, \"german\": 0}",
                "languages.french: is not a field"
            ),
            ("\"answerTokens\": 4", "\"answerTokens\": 0", "policy.policy.answerTokens is 0"),
            ("\"rewards\"", "\"reward\"", "stages[1].policy.reward: is not a field"),
            ("\"kind\": \"policyOptimization\"", "\"kind\": \"sparseTraining\"", "policy.policy is given"),
            ("\"kind\": \"densePretraining\"", "\"kind\": \"policyOptimization\"", "dense.policy is missing"),
            ("\"needle\": 1", "\"prose\": 1", "policy.mixture is prose or phrases, expected tasks with"),
            (
                "\"name\": \"dense\"", "\"name\": \"start\"",
                "stages is \"start\", a name that is a path or taken"
            ),
            (
                "\"steps\": 3", "\"steps\": 3, \"topK\": 16",
                "policy.topK is 16, expected 32, the model's, or none"
            ),
        ] {
            try writePolicyRecipe((from, to))
            XCTAssertThrowsError(try run("b"), message) { XCTAssertTrue("\($0)".contains(message), "\($0)") }
        }
    }

    func testAStateThatWasNotWrittenIsDoneAgain() throws {
        XCTAssertTrue(try run("whole"))
        XCTAssertFalse(try run("cut", stoppingAfter: 4))
        let state = try bytes("cut/state/state.safetensors")
        XCTAssertFalse(try run("cut", stoppingAfter: 2))
        // As if the process had ended before it could write.
        try state.write(to: folder.appendingPathComponent("cut/state/state.safetensors"))
        XCTAssertTrue(try run("cut"))
        XCTAssertEqual(try bytes("cut/sparse/model.safetensors"), try bytes("whole/sparse/model.safetensors"))
        let lines = String(decoding: try bytes("cut/log.jsonl"), as: UTF8.self).split(separator: "\n")
        XCTAssertEqual(lines.count, 8)
    }

    func testRefusals() throws {
        XCTAssertFalse(try run("a", stoppingAfter: 1))
        try Data(TinyRun.recipe.replacingOccurrences(of: "\"seed\": 3", with: "\"seed\": 4").utf8)
            .write(to: folder.appendingPathComponent("recipe.json"))
        XCTAssertThrowsError(try run("a")) {
            XCTAssertEqual($0 as? TrainingFault, .anotherRun(file: "recipe.json"))
        }
        for (from, to, message) in [
            ("\"steps\": 3", "\"steps\": 0", "dense.steps is 0, expected 1 to 10000000"),
            ("\"needle\": 1,", "\"noodle\": 1,", "dense.mixture is \"noodle\", expected one of"),
            ("\"kind\": \"densePretraining\",", "", "lacks \"kind\""),
            ("\"name\": \"warm-up\"", "\"name\": \"dense\"", "names of their own"),
            ("\"clip\": 1", "\"clip\": -1", "dense.clip is -1.0, expected a positive number"),
            ("\"seed\": 3", "\"seed\": true", "recipe.json: seed"),
            ("\"clip\": 1", "\"clip\": 1, \"clip\": 01", "recipe.json: recipe: "),
            ("\"biasSpeed\"", "\"biasSped\"", "stages[0].biasSped: is not a field of a recipe"),
            (
                "\"warmUpSteps\": 1,", "\"warmUpSteps\": 1, \"x\": 1,",
                "stages[0].learningRate.x: is not a field"
            ),
        ] {
            try Data(TinyRun.recipe.replacingOccurrences(of: from, with: to).utf8)
                .write(to: folder.appendingPathComponent("recipe.json"))
            XCTAssertThrowsError(try run("b")) { XCTAssertTrue("\($0)".contains(message), "\($0)") }
        }
    }

    func testDamagedStatesAreRefused() throws {
        XCTAssertFalse(try run("a", stoppingAfter: 4))
        let file = folder.appendingPathComponent("a/state/state.safetensors")
        let state = try Data(contentsOf: file)
        for cut in [0, 7, 100, 5000, state.count - 1] {
            try state.prefix(cut).write(to: file)
            XCTAssertThrowsError(try run("a"), "\(cut)")
        }
        let place = try XCTUnwrap(state.range(of: Data(#"\"stage\":1"#.utf8)))
        var moved = state
        moved.replaceSubrange(place, with: Data(#"\"stage\":9"#.utf8))
        try moved.write(to: file)
        XCTAssertThrowsError(try run("a")) {
            XCTAssertTrue("\($0)".contains("within the recipe"), "\($0)")
        }
    }

    func testLearningRates() {
        let rate = LearningRate(peak: 1, end: 0.1, warmUpSteps: 2, shape: .cosine)
        XCTAssertEqual(rate.rate(at: 0, of: 12), 0.5)
        XCTAssertEqual(rate.rate(at: 1, of: 12), 1)
        XCTAssertEqual(rate.rate(at: 2, of: 12), 1)
        XCTAssertEqual(rate.rate(at: 11, of: 12), 0.1, accuracy: 1e-6)
        XCTAssertEqual(LearningRate(peak: 3).rate(at: 1000, of: 10), 3)
    }
}

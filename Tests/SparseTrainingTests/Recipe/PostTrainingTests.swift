import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

/// Specialists, distillation and a mixed stage with a tiny model: files, interruptions, refusals, and that it learns.
final class PostTrainingTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try TinyRun.write(to: folder)
        // A base with a folder of its own: random weights.
        let configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        try TaskVocabulary().write(to: folder)
        try TrainingFiles(folder: folder).export(
            ParameterSet(random: configuration, deviation: 0.1, seed: 1),
            name: "base"
        )
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    private static let rate = """
        "learningRate": {"peak": 0.02, "end": 0.02, "warmUpSteps": 0, "shape": "constant"}
        """

    private static func policy(_ tasks: String, attention: String = "") -> String {
        """
        {"name": "policy", "kind": "policyOptimization", "steps": 2, "sequences": 2, "length": 64, "questions": 1,
         "mixture": {\(tasks)}, \(rate), \(attention)
         "policy": {"answers": 4, "answerTokens": 4, "advantage": "meanOnly", "clip": 0.2, "divergenceWeight": 0,
                    "divergence": "plain"}}
        """
    }

    private static let recipe = """
        {"seed": 3,
         "specialists": [
          {"name": "sums", "stages": [
           {"name": "teach", "kind": "densePretraining", "steps": 3, "sequences": 4, "length": 64, "questions": 2,
            "mixture": {"arithmetic": 1}, \(rate)},
           \(policy("\"arithmetic\": 1"))]},
          {"name": "closers", "stages": [\(policy("\"brackets\": 1", attention: "\"attention\": \"dense\","))]}],
         "distilled": [
          {"name": "taught", "kind": "distillation", "steps": 2, "sequences": 4, "length": 64, "questions": 1,
           "mixture": {"arithmetic": 1, "brackets": 1}, \(rate),
           "distillation": {"teachers": {"arithmetic": "sums", "brackets": "closers"}, "answerTokens": 4, "draws": 2}}],
         "mixed": [\(policy("\"arithmetic\": 1, \"brackets\": 1"))]}
        """

    private func open(_ name: String, _ text: String = recipe) throws -> PostTrainingRun {
        let file = folder.appendingPathComponent("posttraining.json")
        try Data(text.utf8).write(to: file)
        return try PostTrainingRun(
            PostTraining(contentsOf: file),
            base: folder.appendingPathComponent("base"),
            folder: folder.appendingPathComponent(name),
            threads: 2
        )
    }

    func testItEndsTheSameWithInterruptionsAndWithout() throws {
        var parts: [String] = []
        XCTAssertTrue(
            try open("whole").run { part, progress in
                parts.append("\(part) \(progress.stage) \(progress.step)")
                return true
            }
        )
        XCTAssertEqual(
            parts,
            ["sums teach 1", "sums teach 2", "sums teach 3"]
                + ["sums policy 1", "sums policy 2", "closers policy 1", "closers policy 2"]
                + ["distilled taught 1", "distilled taught 2", "mixed policy 1", "mixed policy 2"]
        )
        while try !open("parts").run(progress: { _, _ in false }) {}
        for path in ["sums/policy", "closers/policy", "distilled/taught", "mixed/policy"] {
            let models = try ["whole", "parts"].map { name in
                try Data(contentsOf: folder.appendingPathComponent("\(name)/\(path)/model.safetensors"))
            }
            XCTAssertEqual(models[0], models[1], path)
        }
        let rows = try open("whole").results(questions: 6)
        XCTAssertEqual(rows.map(\.model), ["base", "sums", "closers", "distilled", "mixed"])
        for row in rows {
            XCTAssertEqual(Set(row.tasks.keys), ["arithmetic", "brackets"])
            for measures in row.tasks.values {
                XCTAssertTrue((0...1).contains(measures.outcome))
                XCTAssertTrue((1...4).contains(measures.answerTokens))
                XCTAssertEqual(measures.questions, 6)
            }
        }
        XCTAssertThrowsError(
            try open("whole", Self.recipe.replacingOccurrences(of: "\"seed\": 3", with: "\"seed\": 4"))
        ) {
            XCTAssertEqual($0 as? TrainingFault, .anotherRun(file: "posttraining.json"))
        }
    }

    /// The models may have more tokens than the base, and select fewer.
    func testTheBaseIsBroughtToTheSizesOfTheRecipe() throws {
        let sizes = TinyRun.configuration
            .replacingOccurrences(of: "\"vocab_size\": 760", with: "\"vocab_size\": 1100")
            .replacingOccurrences(of: "\"index_topk\": 32", with: "\"index_topk\": 16")
        let file = folder.appendingPathComponent("wide.json")
        try Data(sizes.utf8).write(to: file)
        let recipe = folder.appendingPathComponent("posttraining.json")
        try Data(Self.recipe.utf8).write(to: recipe)
        let run = try PostTrainingRun(
            PostTraining(contentsOf: recipe),
            base: folder.appendingPathComponent("base"),
            configuration: file,
            folder: folder.appendingPathComponent("wide"),
            threads: 1
        )
        let (narrow, wide) = (
            try LanguageModel(contentsOf: folder.appendingPathComponent("base")),
            try LanguageModel(contentsOf: run.folder.appendingPathComponent("base"))
        )
        XCTAssertEqual(wide.configuration.vocabularySize, 1100)
        XCTAssertEqual(wide.configuration.indexer?.topK, 16)
        let prompt = Array(20..<36)
        let logits = try [narrow, wide].map { try Session($0, capacity: 64).extend(by: prompt).elements }
        for (found, expected) in zip(logits[1], logits[0]) {
            XCTAssertEqual(found, expected, accuracy: 1e-5)
        }
        let further = logits[1][760...]
        XCTAssertTrue(further.allSatisfy(\.isFinite))
        XCTAssertEqual(Set(further).count, further.count)
        func size(_ values: ArraySlice<Float>) -> Float {
            values.reduce(0) { $0 + $1 * $1 } / Float(values.count)
        }
        XCTAssertEqual(size(further) / size(logits[0][...]), 1, accuracy: 0.3)
    }

    func testAStudyHasASeedARunAndADenseControl() throws {
        let recipe = folder.appendingPathComponent("posttraining.json")
        try Data(Self.recipe.utf8).write(to: recipe)
        let study = try PostTrainingStudy(
            recipe: recipe,
            base: folder.appendingPathComponent("base"),
            folder: folder.appendingPathComponent("study"),
            seeds: 2,
            hasControl: true
        )
        XCTAssertEqual(study.runs.map(\.name), ["sparse-3", "dense-3", "sparse-4", "dense-4"])
        for run in study.runs where run.attention == .dense {
            let stages = run.run.recipe.parts.flatMap(\.recipe.stages)
            XCTAssertTrue(stages.allSatisfy { $0.mode.attention == .dense && !$0.mode.trainsIndexer })
        }
        XCTAssertTrue(try study.run())
        let rows = try study.results(questions: 4)
        XCTAssertEqual(
            rows.map(\.attention),
            Array(repeating: .sparse, count: 5) + Array(repeating: .dense, count: 5)
        )
        let runs = try study.runs.filter { $0.attention == .sparse }.map { try $0.run.results(questions: 4) }
        let tokens = runs.map { ($0[4].tasks["brackets"]?.outcome ?? -1) }
        XCTAssertEqual(rows[4].outcomes["brackets"], Spread(tokens))
        XCTAssertEqual(try study.runs[0].run.logs.map(\.part), ["sums", "closers", "distilled", "mixed"])
        XCTAssertEqual(Spread([1, 2, 3]).mean, 2)
        XCTAssertEqual(Spread([1, 2, 3]).deviation, 1)
        XCTAssertEqual(Spread([5]).deviation, 0)
    }

    func testWhatCannotBeIsRefused() throws {
        for (from, to, message) in [
            ("\"name\": \"closers\"", "\"name\": \"sums\"", "specialists is two of one name"),
            ("\"name\": \"closers\"", "\"name\": \"mixed\"", "\"mixed\", a name that is a path or taken"),
            ("\"name\": \"closers\"", "\"name\": \"a/b\"", "\"a/b\", a name that is a path or taken"),
            (
                "\"brackets\": \"closers\"", "\"brackets\": \"nobody\"",
                "\"nobody\", expected one of sums, closers"
            ),
            (", \"brackets\": \"closers\"", "", "taught.distillation.teachers is without brackets"),
            ("\"draws\": 2", "\"draws\": 0", "distilled: taught.distillation.draws is 0, expected 1 to 1024"),
            (
                "\"draws\": 2", "\"withoutThinking\": -1",
                "withoutThinking is -1.0, expected a share of 0 to 1"
            ),
            ("\"draws\": 2", "\"drows\": 2", "drows: is not a field of a recipe"),
            ("\"answers\": 4", "\"answers\": 0", "sums: policy.policy.answers is 0, expected 2 to 1024"),
            ("\"seed\": 3,", "", "lacks \"seed\""),
            ("\"kind\": \"distillation\"", "\"kind\": \"sparseTraining\"", "taught.distillation is given"),
        ] {
            XCTAssertThrowsError(try open("a", Self.recipe.replacingOccurrences(of: from, with: to)), message)
            {
                XCTAssertTrue("\($0)".contains(message), "\($0)")
            }
        }
    }

    /// Only right answers are taken, with their tokens alone counting; a question nobody answers right is left out.
    func testRightAnswersAloneAreTaken() throws {
        let settings = DistillationSettings(teachers: ["arithmetic": "base"], answerTokens: 4, draws: 400)
        let distillation = try Distillation(settings, folder: folder, attention: .sparse, workers: .all)
        let stream = TaskStream(seed: 2, split: .training)
        let items = (0..<2).map { stream.item(.arithmetic, $0, length: 64) }
        // With any answer right, the first draw is taken.
        let open = items.map { item in
            var item = item
            item.questions[0].judge = AnyAnswer()
            return item
        }
        let taught = try distillation(open, seed: 1)
        XCTAssertEqual(taught.count, 2)
        for (item, source) in zip(taught, items) {
            let prompt = source.questions[0].answer.lowerBound
            XCTAssertEqual(item.tokens[..<prompt], source.tokens[..<prompt])
            XCTAssertEqual(item.questions.map(\.answer), [prompt..<item.tokens.count])
            XCTAssertTrue(item.weights[..<prompt].allSatisfy { $0 == 0 })
            XCTAssertTrue(item.weights[prompt...].allSatisfy { $0 == 1 })
        }
        // A random model does not do sums.
        let short = DistillationSettings(teachers: ["arithmetic": "base"], answerTokens: 4, draws: 2)
        let strict = try Distillation(short, folder: folder, attention: .sparse, workers: .all)
        XCTAssertTrue(try strict(items, seed: 1).isEmpty)
        XCTAssertThrowsError(
            try Distillation(
                DistillationSettings(teachers: ["arithmetic": "nowhere"], answerTokens: 4),
                folder: folder,
                attention: .sparse,
                workers: .one
            )
        )
    }

    private struct AnyAnswer: AnswerJudge {
        func outcome(of turns: [[Int]], expected: [[Int]]) -> Float { 1 }
    }
}

import Foundation
import SparseAttention
import SparseInference
import SparseTraining
import TestSupport
import XCTest

/// The examples of the training module's documentation.
final class TrainingExampleTests: XCTestCase {
    func testSteps() throws {
        try ExampleModel.withTemporaryFolder { folder in
            try TinyRun.write(to: folder)
            let tokens = (0..<48).map { $0 % 6 + 10 }
            var losses: [Float] = []
            // Shown in Sources/SparseTraining/Documentation.docc/TrainingSteps.md
            let sizes = folder.appendingPathComponent("config.json")
            let configuration = try ModelConfiguration(contentsOf: sizes)
            let model = try TrainableModel(configuration)
            var parameters = try ParameterSet(random: configuration, deviation: 0.1, seed: 1)
            var optimizer = AdamW()
            for _ in 0..<30 {
                var gradients = ParameterSet()
                let outcome = try model.accumulate(
                    [.init(tokens: tokens, weight: 1 / Float(tokens.count - 1))],
                    parameters,
                    mode: .densePretraining,
                    into: &gradients
                )
                gradients.clip(toNorm: 1)
                optimizer.update(&parameters, by: gradients) { _ in 0.01 }
                losses.append(outcome.losses[0].reduce(0, +) / Float(tokens.count - 1))
            }
            // Shown: end
            XCTAssertLessThan(try XCTUnwrap(losses.last), try XCTUnwrap(losses.first) / 2, "\(losses)")
        }
    }

    func testRun() throws {
        try ExampleModel.withTemporaryFolder { sources in
            try TinyRun.write(to: sources)
            let folder = sources.appendingPathComponent("run")
            let (recipe, sizes) = (
                sources.appendingPathComponent("recipe.json"), sources.appendingPathComponent("config.json")
            )
            // Shown in Sources/SparseTraining/Documentation.docc/TrainingSteps.md
            let run = try TrainingRun(recipe: recipe, configuration: sizes, folder: folder)
            try run.run { progress in
                print(progress.stage, progress.step, "of", progress.steps)
                return true  // false stops; a run made again in this folder goes on
            }
            let trained = try LanguageModel(contentsOf: folder.appendingPathComponent("sparse"))
            let row = try TaskEvaluation(trained).run("needle", length: 128, texts: 2)
            print(row.densePerplexity, row.sparsePerplexity)
            // Shown: end
            XCTAssertEqual(run.recipe.stages.last?.name, "sparse")
            XCTAssertEqual(try run.log.lines.count, 8)
            XCTAssertGreaterThan(row.sparsePerplexity, 1)
        }
    }
}

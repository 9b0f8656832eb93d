import Foundation
import SparseAttention
import SparseInference
import TestSupport
import XCTest

@testable import SparseTraining

final class EvaluationTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try TinyRun.write(to: folder)
        let run = try TrainingRun(
            recipe: folder.appendingPathComponent("recipe.json"),
            configuration: folder.appendingPathComponent("config.json"),
            folder: folder.appendingPathComponent("run")
        )
        XCTAssertTrue(try run.run())
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    func testRowsOfEveryTask() throws {
        let model = try LanguageModel(contentsOf: folder.appendingPathComponent("run/sparse"))
        let evaluation = try TaskEvaluation(model, seed: 2, questions: 2)
        // The others' words are not in so small a vocabulary.
        XCTAssertEqual(Set(TaskEvaluation.tasks).subtracting(evaluation.tasks).count, 5)
        XCTAssertThrowsError(try evaluation.run("logic", length: 96, texts: 1)) {
            XCTAssertTrue("\($0)".contains("the tokens of the task logic"), "\($0)")
        }
        for task in evaluation.tasks {
            let row = try evaluation.run(task, length: 96, texts: 2)
            XCTAssertEqual([row.length, row.k], [96, 32])
            XCTAssertEqual(row.questions > 0, task != "prose")
            XCTAssertEqual(row.denseAccuracy == nil, task == "prose")
            XCTAssertNotEqual(row.densePerplexity, row.sparsePerplexity, "\(task): nothing was selected")
            // It has learned next to nothing: about as likely as any of 760 tokens.
            XCTAssertEqual(log(row.densePerplexity), log(760), accuracy: 1.5, task)
        }
        XCTAssertThrowsError(try evaluation.run("noodle", length: 96, texts: 1))
        XCTAssertThrowsError(try evaluation.run("needle", length: 10, texts: 1))
    }

    func testAnAnswerIsRightWhenGreedyGenerationWritesIt() throws {
        let model = try LanguageModel(contentsOf: folder.appendingPathComponent("run/dense"))
        let evaluation = try TaskEvaluation(model, seed: 4, questions: 1)
        let stream = TaskStream(seed: 4, split: .evaluation, questions: 1)
        var right = 0
        for index in 0..<3 {
            let item = stream.item(.needle, index, length: 64)
            let answer = try XCTUnwrap(item.questions.first).answer
            let session = try Session(model, capacity: item.tokens.count)
            var logits = try session.extend(by: Array(item.tokens[..<answer.lowerBound]), attention: .dense)
            var written: [Int] = []
            for _ in answer {
                let best = logits.elements.indices.max { logits[$0] < logits[$1] } ?? 0
                written.append(best)
                logits = try session.extend(by: [best], attention: .dense)
            }
            right += written == Array(item.tokens[answer]) ? 1 : 0
        }
        XCTAssertEqual(try evaluation.run("needle", length: 64, texts: 3).denseAccuracy, Double(right) / 3)
    }

    /// Where many answers are right, the one the model writes is judged, not the one the question comes with.
    func testWrittenAnswersAreJudged() throws {
        let model = try LanguageModel(contentsOf: folder.appendingPathComponent("run/dense"))
        let row = try TaskEvaluation(model, seed: 4, questions: 4).run("programs", length: 64, texts: 3)
        XCTAssertEqual(row.questions, 3)
        let stream = TaskStream(seed: 4, split: .evaluation, questions: 4)
        var right = 0
        for index in 0..<3 {
            let item = stream.item(.programs, index, length: 64)
            let question = try XCTUnwrap(item.questions.first)
            let session = try Session(model, capacity: 128)
            var logits = try session.extend(
                by: Array(item.tokens[..<question.answer.lowerBound]),
                attention: .dense
            )
            var written: [Int] = []
            while written.last != TaskVocabulary.end, written.count < 2 * question.answer.count {
                let best = logits.elements.indices.max { logits[$0] < logits[$1] } ?? 0
                written.append(best)
                logits = try session.extend(by: [best], attention: .dense)
            }
            right += item.outcome(of: [written], to: question) == 1 ? 1 : 0
        }
        XCTAssertEqual(row.denseAccuracy, Double(right) / 3)
    }

    func testAttentionMassOfSelectionsWindowsAndTheBest() throws {
        let configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        let parameters = try ParameterSet(
            contentsOf: folder.appendingPathComponent("run/sparse"),
            configuration: configuration
        )
        let tokens = TaskStream(seed: 5, split: .evaluation).item(.prose, 0, length: 120).tokens
        let mass = try TrainableModel(configuration).attentionMass(tokens, parameters, every: 1)
        XCTAssertEqual(mass.selected.count, 2)
        for layer in 0..<2 {
            XCTAssertGreaterThan(mass.selected[layer], 0.1)
            XCTAssertGreaterThanOrEqual(mass.best[layer], mass.selected[layer])
            XCTAssertGreaterThanOrEqual(mass.best[layer], mass.window[layer])
            XCTAssertLessThan(mass.best[layer], 1)
        }
        // Everything is kept where everything is selected.
        let all = try TrainableModel(configuration, topK: 50).attentionMass(tokens, parameters, every: 1)
        XCTAssertGreaterThan(all.mean.best, mass.mean.best)
    }
}

import Conformance
import Foundation
import SparseAttention
import SparseInference
import XCTest

/// Known mistakes of other implementations: the suite has to catch each of them.
final class MistakeTests: XCTestCase {
    func testThereAreAtLeastTwelveWithASourceEach() {
        XCTAssertGreaterThanOrEqual(Mistake.allCases.count, 12)
        XCTAssertTrue(Mistake.allCases.allSatisfy { !$0.source.isEmpty })
    }

    func testTheSuiteCatchesEveryMistakeBeyondTopK() throws {
        for mistake in Mistake.allCases {
            let cases = try ConformanceFolder(folder, mistake: mistake).cases().filter { item in
                item.name.hasPrefix("checkpoints/")
                    && (item.name.hasSuffix("/whole") || item.name.hasSuffix("/chunks-of-7"))
                    && item.name.contains(mistake.needsFloat8 ? "/deployed_" : "prompt")
            }
            XCTAssertFalse(cases.isEmpty, mistake.rawValue)
            // One miss is enough; the others need not be waited for.
            var report = ConformanceReport()
            let isCaught = cases.reversed().contains { report.run($0).verdict == "failed" }
            XCTAssertTrue(isCaught, "\(mistake.rawValue) passes all \(cases.count) cases")
        }
    }

    func testWhichMistakesHideUpToTopK() throws {
        for mistake in Mistake.allCases {
            // YaRN and groups of experts whose bias is negative: this checkpoint has both.
            let checkpoint = try folder.appendingPathComponent(
                "checkpoints/" + (mistake.needsFloat8 ? "tiny-v32-fp8" : "tiny-v32-bf16")
            )
            let precision: LanguageModel.Precision =
                mistake.needsFloat8 ? .deployed(activations: .float32) : .float32
            let right = try LanguageModel(contentsOf: checkpoint, precision: precision)
            let wrong = try LanguageModel(contentsOf: checkpoint, precision: precision, mistake: mistake)
            let topK = try XCTUnwrap(right.configuration.indexer?.topK)
            let difference = try largestDifference(right, wrong, tokens: topK)
            XCTAssertEqual(
                difference == 0,
                mistake.hidesUpToTopK,
                "\(mistake.rawValue): logits differ by \(difference) in \(topK) tokens"
            )
        }
    }

    /// The largest difference of a logit in a sequence of some tokens, the last three decoded one by one.
    private func largestDifference(_ right: LanguageModel, _ wrong: LanguageModel, tokens: Int) throws
        -> Float
    {
        let ids = (0..<tokens).map { ($0 * 37 + 11) % right.configuration.vocabularySize }
        func logits(_ model: LanguageModel) throws -> [Float] {
            let session = try Session(model, capacity: tokens)
            let prompt = try session.extendWithAllLogits(by: Array(ids.dropLast(3)))
            let decoded = try session.extendWithAllLogits(by: Array(ids.suffix(3)), chunk: 1)
            return prompt.elements + decoded.elements
        }
        return try zip(logits(right), logits(wrong)).reduce(0) { max($0, abs($1.0 - $1.1)) }
    }

    private var folder: URL {
        get throws {
            try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        }
    }
}

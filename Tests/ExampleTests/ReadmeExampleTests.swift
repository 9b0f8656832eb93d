import Foundation
import SparseAttention
import SparseInference
import XCTest

/// The README's examples.
final class ReadmeExampleTests: XCTestCase {
    func testSparseAttentionExample() throws {
        // Shown in README.md
        func wave(_ shape: Shape) throws -> Tensor {
            try Tensor((0..<shape.count).map { sin(Float($0)) }, shape: shape)
        }
        // Eight index heads score 1,024 tokens and keep the best 128 for each of the last four.
        let indexer = try LightningIndexer(heads: 8, headDim: 64, topK: 128)
        let chosen = try indexer.select(
            queries: wave([4, 8, 64]),
            weights: wave([4, 8]),
            keys: wave([1024, 64]),
            from: 1020
        )

        // Sixteen heads attend to those rows alone; the first 64 numbers of a row are its value.
        let attention = TopKAttention(valueDim: 64)
        let result = try attention.attend(wave([4, 16, 80]), to: wave([1024, 80]), at: chosen, scale: 0.1)
        print(result.output.shape, result.logSumExp.shape)  // [4, 16, 64] [4, 16]
        // Shown: end

        XCTAssertEqual(chosen.slots, 128)
        XCTAssertTrue(chosen.sets.allSatisfy { $0.count == 128 })
        XCTAssertEqual(result.output.shape, [4, 16, 64])
        XCTAssertTrue(result.output.elements.allSatisfy(\.isFinite))
    }

    func testEngineExample() async throws {
        let folder = ExampleModel.tiny
        var printed = ""
        func print(_ text: String, terminator: String) { printed += text + terminator }
        // Shown in README.md
        let model = try LanguageModel(contentsOf: folder)
        for try await piece in try model.generate("Where is the brass key?", options: .init(maxTokens: 16)) {
            print(piece.text, terminator: "")
        }
        // Shown: end
        XCTAssertFalse(printed.isEmpty)
    }
}

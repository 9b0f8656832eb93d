import Foundation
import SparseAttention
import SparseInference
import XCTest

/// The examples of the engine's documentation.
final class InferenceExampleTests: XCTestCase {
    func testSessionsOnDisk() throws {
        try ExampleModel.withTemporaryFolder { temporary in
            let file = temporary.appendingPathComponent("book.session")
            let (book, question) = (Array(1..<60), [7, 8, 9])
            try store(book, file)
            let next = try goOn(book, question, file)

            let model = try LanguageModel(contentsOf: ExampleModel.tiny)
            let whole = try Session(model, capacity: 128).extend(by: book + question)
            XCTAssertEqual(next, whole.elements.enumerated().max { $0.element < $1.element }?.offset)
        }
    }

    private func store(_ book: [Int], _ file: URL) throws {
        let folder = ExampleModel.tiny
        // Shown in Sources/SparseInference/Documentation.docc/RunningAModel.md
        let model = try LanguageModel(contentsOf: folder)
        let session = try Session(model, capacity: 128)
        _ = try session.extend(by: book)
        try session.write(to: file)
        // Shown: end
    }

    private func goOn(_ book: [Int], _ question: [Int], _ file: URL) throws -> Int? {
        let model = try LanguageModel(contentsOf: ExampleModel.tiny)
        // Shown in Sources/SparseInference/Documentation.docc/RunningAModel.md
        let session = try Session(contentsOf: file, model, capacity: 128)
        let rest = Array(try session.rewind(to: book + question))  // what has not been read yet
        let logits = try session.extend(by: rest)
        let next = logits.elements.enumerated().max { $0.element < $1.element }?.offset
        // Shown: end
        XCTAssertEqual(rest, question)
        return next
    }

    func testSeveralSequences() async throws {
        let model = try LanguageModel(contentsOf: ExampleModel.tiny)
        let prompts = [[3, 4, 5], [6, 7], [8, 9, 10, 11]]
        // Shown in Sources/SparseInference/Documentation.docc/RunningAModel.md
        var texts = [String](repeating: "", count: prompts.count)
        let batch = try model.generate(
            prompts: prompts,
            options: prompts.map { _ in GenerationOptions(maxTokens: 16) },
            limits: BatchLimits(sequences: 4, cacheBytes: 1 << 20)
        )
        for try await piece in batch { texts[piece.prompt] += piece.piece.text }
        // Shown: end
        for (prompt, text) in zip(prompts, texts) {
            var alone = ""
            for try await piece in try model.generate(tokens: prompt, options: .init(maxTokens: 16)) {
                alone += piece.text
            }
            XCTAssertEqual(text, alone)
        }
    }

    func testGuesses() async throws {
        let model = try LanguageModel(contentsOf: ExampleModel.tiny)
        let prompt = [3, 4, 5, 6, 3, 4, 5, 6, 3, 4]
        // Shown in Sources/SparseInference/Documentation.docc/RunningAModel.md
        var statistics = GenerationStatistics?.none
        let options = GenerationOptions(maxTokens: 32, stopsAtEnd: false, draftTokens: 4)
        for try await piece in try model.generate(tokens: prompt, options: options) {
            statistics = piece.statistics
        }
        // Shown: end
        XCTAssertEqual(statistics?.generatedTokens, 32)
        let told = try XCTUnwrap(statistics)
        XCTAssertLessThanOrEqual(told.acceptedTokens, told.draftedTokens)
    }

    func testEncoderAndParser() throws {
        // Shown in Sources/SparseInference/Documentation.docc/Conversations.md
        let encoder = ChatEncoder(.dsml, mode: .thinking)
        let weather = try ChatSchema(json: #"{"name": "weather", "parameters": {"type": "object"}}"#)
        let prompt = try encoder.encode([
            ChatMessage(.system, "Be brief.", tools: [weather]),
            ChatMessage(.user, "Where is the brass key?"),
        ])

        var parser = ChatParser(encoder)
        var events = try parser.append("It was in the text.</thi")
        events += try parser.append("nk>In the cellar.<｜end▁of▁sentence｜>")
        events += try parser.finish()
        // Shown: end
        XCTAssertTrue(prompt.hasSuffix("<｜User｜>Where is the brass key?<｜Assistant｜><think>"), prompt)
        XCTAssertTrue(prompt.contains(weather.json))
        XCTAssertEqual(events, [.reasoning("It was in the text."), .content("In the cellar.")])
        XCTAssertEqual(parser.message.reasoning, "It was in the text.")
    }

    func testConversation() throws {
        let folder = ExampleModel.demonstration
        var printed = ""
        func print(_ text: String, terminator: String) { printed += text + terminator }
        // Shown in Sources/SparseInference/Documentation.docc/Conversations.md
        let conversation = try Conversation(LanguageModel(contentsOf: folder))
        let question = "Ada sells wool soon. The brass key is in the cellar. Where is the brass key?"
        let answer = try conversation.answer(
            [ChatMessage(.user, question)],
            tell: { event in
                if case .content(let text) = event { print(text, terminator: "") }
                return true  // false ends the answer here
            }
        )
        // Shown: end
        XCTAssertTrue(answer.content.contains("cellar"), answer.content)
        XCTAssertEqual(printed, answer.content)
        XCTAssertEqual(conversation.messages.map(\.role), [.user, .assistant])
    }

    func testComparison() throws {
        let folder = ExampleModel.tiny
        let tokens = (0..<96).map { $0 * 7 % 100 }
        // Shown in Sources/SparseInference/Documentation.docc/CostAndLoss.md
        let model = try LanguageModel(contentsOf: folder)
        let report = try AttentionComparison(model).run(tokens)
        print(report.whole.divergence, report.whole.agreement)  // nats, share of tokens
        for layer in report.layers {
            print(layer.layer, layer.selected, layer.best, layer.window)  // shares of attention kept
        }
        // Shown: end
        XCTAssertEqual(report.layers.count, model.configuration.layers)
        XCTAssertTrue(report.layers.allSatisfy { $0.selected <= $0.best + 1e-6 })
    }

    func testCost() throws {
        let folder = ExampleModel.demonstration
        // Shown in Sources/SparseInference/Documentation.docc/CostAndLoss.md
        let configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        let machine = DeviceRates(name: "mine", peak: 450e9, memory: 30e9, dollarsPerHour: 0.1)
        let cost = try TokenCost(configuration, on: machine)
        let dense = try cost.row(at: 16_384, .decode, isSparse: false)
        let sparse = try cost.row(at: 16_384, .decode, isSparse: true)
        print(dense.seconds, sparse.seconds, try cost.sparseOvertakes(.decode) as Any)

        let narrower = try TokenCost(configuration, on: machine, with: .init(topK: 512))
        // Shown: end
        XCTAssertLessThan(
            try narrower.row(at: 16_384, .decode, isSparse: true).seconds,
            sparse.seconds
        )
        XCTAssertGreaterThan(dense.operations, 0)
    }
}

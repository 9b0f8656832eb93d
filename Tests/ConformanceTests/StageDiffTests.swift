import Conformance
import Foundation
import SparseAttention
import SparseInference
import XCTest

/// Dumps of stages: written, read back, compared.
final class StageDiffTests: XCTestCase {
    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)

    override func setUpWithError() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDownWithError() throws {
        try FileManager.default.removeItem(at: folder)
    }

    func testADumpEqualsItselfAndAChunkedDumpEqualsTheWhole() throws {
        let whole = try write(dump().tensors)
        let chunked = try write(dump(chunk: 7).tensors)
        let same = try StageDiff(whole, whole)
        XCTAssertNil(same.first)
        XCTAssertTrue(same.skipped.isEmpty)
        XCTAssertEqual(same.rows.first?.name, "input_ids")
        XCTAssertEqual(same.rows.last?.name, "logits")
        XCTAssertTrue(same.rows.contains { $0.name == "layer0.selection" })
        XCTAssertNil(try StageDiff(whole, chunked).first)
    }

    func testAScaledStageIsNamed() throws {
        let first = try edited("layer0.headWeights") { floats, _ in floats.map { $0 * 4 } }
        XCTAssertEqual(first?.name, "layer0.headWeights")
        XCTAssertTrue(first?.hint?.contains("scale factor") == true)
    }

    func testReorderedPairsAreCalledRopeLayout() throws {
        let first = try edited("layer0.indexQueries") { floats, width in
            floats.indices.map { index in
                let (start, column) = (index / width * width, index % width)
                return floats[start + column % 2 * width / 2 + column / 2]
            }
        }
        XCTAssertEqual(first?.name, "layer0.indexQueries")
        XCTAssertTrue(first?.hint?.contains("RoPE layout") == true)
    }

    func testEveryMistakeIsNamedFromTwoDumpsInEitherOrder() throws {
        for (checkpoint, precision) in [
            ("tiny-v32-bf16", LanguageModel.Precision.float32),
            ("tiny-v32-fp8", .deployed(activations: .bfloat16)),
        ] {
            // Long enough for top-k to choose, and for groups of experts to be left out.
            let tokens = (0..<64).map { 3 + $0 * 41 % 250 }
            let folder = try fixtures.appendingPathComponent("checkpoints/" + checkpoint)
            var dumps: [String: SafetensorsFile] = [:]
            for mistake in [nil] + Mistake.allCases.map(Optional.some) {
                let model = try LanguageModel(contentsOf: folder, precision: precision, mistake: mistake)
                dumps[mistake?.rawValue ?? ""] = try write(
                    StageDump(of: tokens, on: model, stages: [.latents, .indexScores, .selection, .experts])
                )
            }
            let right = try XCTUnwrap(dumps[""])
            let search = MistakeSearch { try XCTUnwrap(dumps[$0?.rawValue ?? ""]) }
            for (index, mistake) in Mistake.allCases.enumerated() {
                let wrong = try XCTUnwrap(dumps[mistake.rawValue])
                if mistake.needsFloat8 && precision == .float32 {
                    XCTAssertNil(try StageDiff(right, wrong).firstDifference, mistake.rawValue)
                    continue
                }
                let isTurned = index % 2 == 1
                let found = try search.explanations(
                    of: isTurned ? wrong : right,
                    isTurned ? right : wrong
                )
                XCTAssertEqual(found.map(\.mistake), [mistake])
                XCTAssertEqual(found.map(\.side), [isTurned ? .ours : .theirs])
            }
        }
    }

    func testAMistakeIsNamedAmongTheNoiseOfAnotherEngine() throws {
        let folder = try fixtures.appendingPathComponent("checkpoints/tiny-v32-f32")
        let tokens = (0..<40).map { 3 + $0 * 37 % 250 }
        let expanded = StageDump.Run(form: .expanded, chunk: 64)
        let ours = try write(StageDump(of: tokens, on: LanguageModel(contentsOf: folder), run: expanded))
        // The other form of attention sums in another order; the other engine lacks most stages.
        let wrong = try LanguageModel(contentsOf: folder, mistake: .scoresWithoutRelu)
        let theirs = try write(
            StageDump(
                of: tokens,
                on: wrong,
                run: StageDump.Run(form: .absorbed, chunk: 7),
                stages: [.selection, .hidden, .logits]
            )
        )
        let found = try MistakeSearch(ours, model: folder).explanations(of: ours, theirs)
        XCTAssertEqual(found.map(\.mistake), [.scoresWithoutRelu])
        XCTAssertEqual(found.first?.side, .theirs)
    }

    func testAnotherCheckpointIsNoWitness() throws {
        let ours = try dump()
        var theirs = ours.tensors
        theirs["layer0.hidden"] = nil
        let folder = try fixtures.appendingPathComponent("checkpoints/tiny-v3-dense")
        let (left, right) = (
            try write(ours), try edit("logits", of: theirs) { floats, _ in floats.map { -$0 } }
        )
        XCTAssertThrowsError(try MistakeSearch(left, model: folder).explanations(of: left, right)) {
            XCTAssertEqual($0 as? MistakeSearch.Fault, .otherCheckpoint)
        }
    }

    func testADumpTellsHowItWasMade() throws {
        let run = StageDump.Run(attention: .dense, form: .absorbed, chunk: 5)
        let model = try LanguageModel(contentsOf: fixtures.appendingPathComponent("checkpoints/tiny-v32-f32"))
        let again = try StageDump.Run(StageDump(of: [3, 4, 5, 6, 7, 8], on: model, run: run).metadata)
        XCTAssertEqual(again.attention, .dense)
        XCTAssertEqual(again.form, .absorbed)
        XCTAssertEqual(again.chunk, 5)
        XCTAssertEqual(again.precision, .float32)
        XCTAssertEqual(again.checkpoint, model.folder.standardizedFileURL.path)
    }

    func testDeployedNumericsDumpCodesThatGiveTheirScores() throws {
        let folder = try fixtures.appendingPathComponent("checkpoints/tiny-v32-fp8")
        let model = try LanguageModel(contentsOf: folder, precision: .deployed(activations: .bfloat16))
        let file = try write(
            StageDump(of: (0..<48).map { 3 + $0 * 37 % 250 }, on: model, run: .init(chunk: 20))
        )
        let shape = try file.find("layer0.indexQueryCodes").shape
        let indexer = try LightningIndexer(
            heads: shape[1],
            headDim: shape[2],
            topK: 1,
            precision: .float8(.powerOfTwo)
        )
        func rows(_ stage: String) throws -> QuantizedRows {
            let codes = try file.find("layer0.\(stage)Codes").shape
            return try QuantizedRows(
                rows: codes.dropLast().reduce(1, *),
                columns: shape[2],
                codes: file.bytes(of: "layer0.\(stage)Codes"),
                scales: file.floats(of: "layer0.\(stage)Scales")
            )
        }
        let scores = try indexer.scores(
            queryCodes: rows("indexQuery"),
            weights: Tensor(file.floats(of: "layer0.headWeights"), shape: [48, shape[1]]),
            keyCodes: rows("indexKey"),
            from: 0
        )
        let dumped = try file.floats(of: "layer0.indexScores")
        XCTAssertEqual(scores.count, dumped.count)
        for (found, expected) in zip(dumped, scores.elements) where found != expected {
            XCTAssertEqual(found, expected, accuracy: 1e-5 * abs(expected))
        }
    }

    func testTiedScoresAreNotADivergence() throws {
        let ours = try dump().tensors
        let name = "layer0.selection"
        let file = try write(ours)
        let width = try XCTUnwrap(file.find(name).shape.last)
        var positions = try file.int32s(of: name)
        // The last token exchanges the least of its choice for the best it left out, whose score we make equal.
        let start = 95 * width
        var scores = try file.floats(of: "layer0.indexScores")
        let chosen = Set(positions[start..<start + width])
        let left = try XCTUnwrap((0..<96).first { !chosen.contains(Int32($0)) })
        let given = try XCTUnwrap(chosen.min { scores[95 * 96 + Int($0)] < scores[95 * 96 + Int($1)] })
        positions[try XCTUnwrap(positions[start...].firstIndex(of: given))] = Int32(left)
        var theirs = ours
        theirs[name] = StoredTensor(positions, shape: [96, width])
        let divergent = try StageDiff(file, write(theirs))
        XCTAssertEqual(divergent.first?.name, name)
        XCTAssertEqual(divergent.first?.selection?.onlyTheirs, [Int32(left)])
        XCTAssertGreaterThan(try XCTUnwrap(divergent.first?.selection?.scoreLost), 0)
        scores[95 * 96 + left] = scores[95 * 96 + Int(given)]
        var tied = ours
        tied["layer0.indexScores"] = StoredTensor(scores, shape: [96, 96])
        var tiedTheirs = tied
        tiedTheirs[name] = theirs[name]
        let diff = try StageDiff(write(tied), write(tiedTheirs))
        XCTAssertNil(diff.first)
        XCTAssertEqual(diff.firstDifference?.selection?.tiedTokens, 1)
        // What follows is compared before that token only.
        XCTAssertEqual(diff.rows.first { $0.name == "layer1.hidden" }?.tokens, 95)
    }

    func testAFutureTokenIsNamed() throws {
        let ours = try dump().tensors
        let name = "layer0.selection"
        let file = try write(ours)
        var positions = try file.int32s(of: name)
        positions[0] = 5
        var theirs = ours
        theirs[name] = StoredTensor(positions, shape: try file.find(name).shape)
        let first = try StageDiff(file, write(theirs)).first
        XCTAssertEqual(first?.name, name)
        XCTAssertEqual(first?.selection?.token, 0)
        XCTAssertEqual(first?.selection?.onlyTheirs, [5])
        XCTAssertTrue(first?.hint?.contains("causal") == true)
    }

    func testAMissingStageIsSkippedAndAFileThatLiesIsRefused() throws {
        let ours = try dump().tensors
        var cut = ours
        cut["layer0.latents"] = nil
        let diff = try StageDiff(write(ours), write(cut))
        XCTAssertNil(diff.first)
        XCTAssertEqual(diff.skipped, ["layer0.latents"])
        let hostile = folder.appendingPathComponent("hostile.safetensors")
        try Data(repeating: 255, count: 64).write(to: hostile)
        XCTAssertThrowsError(try SafetensorsFile(contentsOf: hostile)) {
            XCTAssertTrue($0 is SparseInferenceError)
        }
        var mistyped = ours
        mistyped["layer0.latents"] = StoredTensor([Int32](repeating: 0, count: 4), shape: [4])
        let shape = try StageDiff(write(ours), write(mistyped)).first
        XCTAssertEqual(shape?.name, "layer0.latents")
    }

    func testTheWriterRefusesBytesThatDoNotFit() {
        let tensor = StoredTensor(dataType: .uint8, shape: [3], bytes: Data([1, 2]))
        XCTAssertThrowsError(try write(["a": tensor])) {
            XCTAssertEqual($0 as? WriterFault, .byteCount(name: "a", found: 2, expected: 3))
        }
    }

    func testTheWriterRoundTrips() throws {
        let file = try write([
            "b": StoredTensor([1.5, -.infinity], shape: [2]),
            "a": StoredTensor(dataType: .uint8, shape: [3], bytes: Data([1, 2, 255])),
        ])
        XCTAssertEqual(file.names.sorted(), ["a", "b"])
        XCTAssertEqual(try file.floats(of: "b"), [1.5, -.infinity])
        XCTAssertEqual(try file.bytes(of: "a"), [1, 2, 255])
        XCTAssertEqual(file.metadata, ["who": "test"])
    }

    private func dump(chunk: Int = Session.defaultChunk) throws -> StageDump {
        let model = try LanguageModel(contentsOf: fixtures.appendingPathComponent("checkpoints/tiny-v32-f32"))
        return try StageDump(of: (0..<96).map { 3 + $0 * 7 % 50 }, on: model, run: .init(chunk: chunk))
    }

    private var fixtures: URL {
        get throws { try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil)) }
    }

    private func write(_ dump: StageDump) throws -> SafetensorsFile {
        let url = folder.appendingPathComponent("\(UUID().uuidString).safetensors")
        try dump.write(to: url)
        return try SafetensorsFile(contentsOf: url)
    }

    private func write(_ tensors: [String: StoredTensor]) throws -> SafetensorsFile {
        let url = folder.appendingPathComponent("\(UUID().uuidString).safetensors")
        try SafetensorsWriter.write(tensors, metadata: ["who": "test"], to: url)
        return try SafetensorsFile(contentsOf: url)
    }

    private func edited(_ name: String, _ edit: ([Float], Int) -> [Float]) throws -> StageDiff.Row? {
        let ours = try dump().tensors
        return try StageDiff(write(ours), self.edit(name, of: ours, edit)).first
    }

    private func edit(
        _ name: String,
        of tensors: [String: StoredTensor],
        _ edit: ([Float], Int) -> [Float]
    ) throws -> SafetensorsFile {
        let file = try write(tensors)
        let shape = try file.find(name).shape
        var edited = tensors
        edited[name] = StoredTensor(edit(try file.floats(of: name), shape.last ?? 1), shape: shape)
        return try write(edited)
    }
}

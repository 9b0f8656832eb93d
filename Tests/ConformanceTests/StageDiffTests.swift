import Conformance
import Foundation
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

    func testAKnownMistakeIsFoundByItsNumbers() throws {
        let fixtures = try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        let checkpoint = fixtures.appendingPathComponent("checkpoints/tiny-v32-f32")
        for mistake in [Mistake.indexerRopeInterleaved, .scoresWithoutRelu] {
            let wrong = try LanguageModel(contentsOf: checkpoint, mistake: mistake)
            let theirs = try write(StageDump(of: (3..<43).map { $0 }, on: wrong).tensors)
            let found = try MistakeSearch.explanations(of: theirs, model: checkpoint, precision: .float32)
            XCTAssertEqual(found, [mistake])
        }
        let right = try write(
            StageDump(of: (3..<43).map { $0 }, on: LanguageModel(contentsOf: checkpoint)).tensors
        )
        // A mistake that changes nothing in these tokens explains the right numbers too; these change them.
        let harmless = try MistakeSearch.explanations(of: right, model: checkpoint, precision: .float32)
        XCTAssertTrue(
            Set(harmless).isDisjoint(with: [
                .indexerRopeInterleaved, .scoresWithoutRelu, .maskAfterSelection, .hadamardQueriesOnly,
            ])
        )
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
        XCTAssertTrue(first?.note.hasPrefix("token 0") == true)
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
        let fixtures = try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        let model = try LanguageModel(
            contentsOf: fixtures.appendingPathComponent("checkpoints/tiny-v32-f32")
        )
        return try StageDump(of: (0..<96).map { 3 + $0 * 7 % 50 }, on: model, chunk: chunk)
    }

    private func write(_ tensors: [String: StoredTensor]) throws -> SafetensorsFile {
        let url = folder.appendingPathComponent("\(UUID().uuidString).safetensors")
        try SafetensorsWriter.write(tensors, metadata: ["who": "test"], to: url)
        return try SafetensorsFile(contentsOf: url)
    }

    private func edited(_ name: String, _ edit: ([Float], Int) -> [Float]) throws -> StageDiff.Row? {
        let ours = try dump().tensors
        let file = try write(ours)
        let shape = try file.find(name).shape
        var theirs = ours
        theirs[name] = StoredTensor(edit(try file.floats(of: name), shape.last ?? 1), shape: shape)
        return try StageDiff(file, write(theirs)).first
    }
}

import Foundation
import SparseAttention
import TestSupport
import XCTest

@testable import SparseInference

final class SessionFileTests: XCTestCase {
    private var folder = URL(fileURLWithPath: "/")
    private var file: URL { folder.appendingPathComponent("a.session") }
    private var checkpoints: [String: TemporaryFolder] = [:]
    private let text = (0..<40).map { ($0 * 7 + 3) % 50 }

    override func setUpWithError() throws {
        folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: folder)
    }

    private func model(_ name: String = "model", seed: UInt64 = 1) throws -> LanguageModel {
        if checkpoints[name] == nil { checkpoints[name] = try TinyCheckpoint(seed: seed).write() }
        return try LanguageModel(contentsOf: XCTUnwrap(checkpoints[name]).url, workers: .one)
    }

    func testAStoredSessionGoesOnBitForBit() throws {
        let model = try model()
        for format in CacheFormat.allCases {
            for attention in AttentionMode.allCases {
                let session = try Session(model, capacity: 64, cacheFormat: format)
                _ = try session.extend(by: text, attention: attention)
                try session.write(to: file)
                // Another capacity, so that rows lie elsewhere.
                let stored = try Session(
                    contentsOf: file,
                    model,
                    capacity: 101,
                    cacheFormat: format,
                    attention: attention
                )
                XCTAssertEqual(stored.tokens, text)
                XCTAssertEqual(stored.attentionModes, [attention])
                XCTAssertEqual(try Session.storedCount(file), text.count)
                // Written again it is the same file.
                let before = try Data(contentsOf: file)
                try stored.write(to: file)
                XCTAssertEqual(try Data(contentsOf: file), before)
                let (ours, theirs) = (
                    try session.extend(by: [5, 6], attention: attention),
                    try stored.extend(by: [5, 6], attention: attention)
                )
                XCTAssertTrue(ours.isBitwiseEqual(to: theirs), "\(format) \(attention)")
            }
        }
    }

    // MARK: Damage

    /// The places of a file whose damage has to be seen: every byte of length and header, the digest among them, of each
    /// tensor the first bytes, the last, and every so many between.
    private func places(in whole: Data) throws -> [Int] {
        let stored = try SafetensorsFile(MappedFile(contentsOf: file))
        let header = 8 + whole.prefix(8).reversed().reduce(0) { $0 << 8 | Int($1) }
        var places = Set(0..<header)
        for entry in stored.tensors.values {
            let range = entry.byteRange
            places.formUnion(range.prefix(9))
            places.formUnion(range.suffix(9))
            places.formUnion(stride(from: range.lowerBound, to: range.upperBound, by: 37))
        }
        places.formUnion(whole.indices.suffix(16))
        return places.sorted()
    }

    private func assertRefused(
        _ data: Data,
        _ model: LanguageModel,
        _ message: String,
        line: UInt = #line
    ) throws {
        let damaged = folder.appendingPathComponent("b.session")
        try data.write(to: damaged)
        XCTAssertThrowsError(try Session(contentsOf: damaged, model, capacity: 64), message, line: line) {
            guard case .session("b.session", _) = $0 as? SparseInferenceError else {
                return XCTFail("\(message): \($0)", line: line)
            }
        }
        // The header alone tells how many tokens there are: right or not, it is no crash.
        _ = try? Session.storedCount(damaged)
    }

    func testEveryDamagedByteIsSeen() throws {
        let model = try model()
        let session = try Session(model, capacity: 64)
        _ = try session.extend(by: Array(text[..<10]))
        try session.write(to: file)
        let whole = try Data(contentsOf: file)
        let places = try places(in: whole)
        XCTAssertGreaterThan(places.count, 1000)
        for place in places {
            var data = whole
            data[place] ^= UInt8(1 << (place % 8))
            try assertRefused(data, model, "byte \(place)")
        }
        for length in [0, 1, 7, 8, 9] + places.filter({ $0 % 11 == 0 }) + [whole.count - 1] {
            try assertRefused(whole.prefix(length), model, "cut at \(length)")
        }
        try assertRefused(whole + [0], model, "a byte more")
        try assertRefused(whole + whole, model, "twice")
        try assertRefused(Data(count: whole.count), model, "zeros")
    }

    // MARK: Refusals

    func testTheModeIsRememberedAndAnotherRefused() throws {
        let model = try model()
        let session = try Session(model, capacity: 64)
        XCTAssertEqual(session.attentionModes, [])
        try session.write(to: file)
        XCTAssertEqual(try Session(contentsOf: file, model, capacity: 64, attention: .dense).count, 0)
        _ = try session.extend(by: Array(text[..<10]))
        XCTAssertEqual(session.attentionModes, [.sparse])
        try session.write(to: file)
        func refuses(_ found: String, _ attention: AttentionMode, line: UInt = #line) {
            assertError(
                .session(file: "a.session", .otherAttention(found: found, expected: attention)),
                line: line
            ) { try Session(contentsOf: file, model, capacity: 64, attention: attention) }
        }
        refuses("sparse from 0", .dense)
        _ = try session.extend(by: Array(text[10...]), attention: .dense)
        XCTAssertEqual(session.attentionModes, [.sparse, .dense])
        try session.write(to: file)
        refuses("sparse from 0, dense from 10", .sparse)
        refuses("sparse from 0, dense from 10", .dense)
        // What is forgotten was not read.
        try session.truncate(to: 10)
        XCTAssertEqual(session.attentionModes, [.sparse])
        struct Stop: Error {}
        XCTAssertThrowsError(
            try session.extend(by: [1, 2], attention: .dense, chunk: 1) { if $0 == 2 { throw Stop() } }
        )
        XCTAssertEqual(session.attentionModes, [.sparse])
        // A model without an indexer reads densely, whatever it is asked for.
        let plain = try TinyCheckpoint(.deepseekV3).model()
        let dense = try Session(plain, capacity: 64)
        _ = try dense.extend(by: text, attention: .sparse)
        XCTAssertEqual(dense.attentionModes, [.dense])
        XCTAssertEqual(try dense.rewind(to: text + [1], attention: .dense), [1])
    }

    func testWhatDoesNotFitIsRefused() throws {
        let model = try model()
        let session = try Session(model, capacity: 64)
        _ = try session.extend(by: text)
        try session.write(to: file)
        func refuses(_ fault: SessionFault, _ body: () throws -> Void) {
            XCTAssertThrowsError(try body()) {
                XCTAssertEqual($0 as? SparseInferenceError, .session(file: "a.session", fault))
            }
        }
        refuses(.otherModel) { _ = try Session(contentsOf: file, self.model("other", seed: 2), capacity: 64) }
        refuses(
            .otherNumerics(
                found: "float32, caches in float32",
                expected: "float32, caches in bfloat16"
            )
        ) { _ = try Session(contentsOf: file, model, capacity: 64, cacheFormat: .bfloat16) }
        XCTAssertThrowsError(try Session(contentsOf: file, model, capacity: 39)) {
            XCTAssertEqual(
                $0 as? SparseInferenceError,
                .request(.contextTooLong(tokens: 40, limit: 39))
            )
        }
        XCTAssertThrowsError(
            try Session(
                contentsOf: XCTUnwrap(checkpoints["model"]).url.appendingPathComponent("model.safetensors"),
                model,
                capacity: 9
            )
        ) { XCTAssertTrue("\($0)".contains("says no version"), "\($0)") }
    }

    func testRewindKeepsWhatIsShared() throws {
        let session = try Session(try model(), capacity: 64)
        XCTAssertEqual(Array(try session.rewind(to: text)), text)
        _ = try session.extend(by: text)
        XCTAssertEqual(Array(try session.rewind(to: text)), [text[39]], "the last token gives the logits")
        XCTAssertEqual(Array(try session.rewind(to: Array(text[..<10]) + [49, 48])), [49, 48])
        XCTAssertEqual(session.tokens, Array(text[..<10]))
        // What was read in another mode is not shared.
        _ = try session.extend(by: [49, 48], attention: .dense)
        XCTAssertEqual(Array(try session.rewind(to: session.tokens + [1])), [49, 48, 1])
        XCTAssertEqual(try session.rewind(to: text, attention: .dense).count, text.count)
        XCTAssertEqual(session.count, 0)
        XCTAssertThrowsError(try session.rewind(to: []))
    }
}

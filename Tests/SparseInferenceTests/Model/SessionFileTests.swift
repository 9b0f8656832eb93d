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
            let session = try Session(model, capacity: 64, cacheFormat: format)
            _ = try session.extend(by: text)
            try session.write(to: file)
            // Another capacity, so that rows lie elsewhere.
            let stored = try Session(contentsOf: file, model, capacity: 101, cacheFormat: format)
            XCTAssertEqual(stored.tokens, text)
            XCTAssertEqual(try Session.storedCount(file), text.count)
            for attention in [AttentionMode.sparse, .dense] {
                let (ours, theirs) = (
                    try session.extend(by: [5, 6], attention: attention),
                    try stored.extend(by: [5, 6], attention: attention)
                )
                XCTAssertTrue(ours.isBitwiseEqual(to: theirs), "\(format) \(attention)")
                try session.truncate(to: text.count)
                try stored.truncate(to: text.count)
            }
            // Written again it is the same file.
            let before = try Data(contentsOf: file)
            try stored.write(to: file)
            XCTAssertEqual(try Data(contentsOf: file), before)
        }
    }

    func testEveryDamagedByteIsSeen() throws {
        let model = try model()
        let session = try Session(model, capacity: 64)
        _ = try session.extend(by: text)
        try session.write(to: file)
        let whole = try Data(contentsOf: file)
        let damaged = folder.appendingPathComponent("b.session")
        for place in stride(from: 0, to: whole.count, by: max(1, whole.count / 400)) {
            var data = whole
            data[place] ^= UInt8(1 << (place % 8))
            try data.write(to: damaged)
            XCTAssertThrowsError(try Session(contentsOf: damaged, model, capacity: 64), "byte \(place)") {
                XCTAssertTrue($0 is SparseInferenceError, "byte \(place): \($0)")
            }
        }
        for length in [0, 1, 8, 100, whole.count / 2, whole.count - 1] {
            try whole.prefix(length).write(to: damaged)
            XCTAssertThrowsError(try Session(contentsOf: damaged, model, capacity: 64), "cut at \(length)")
        }
        try (whole + [0]).write(to: damaged)
        XCTAssertThrowsError(try Session(contentsOf: damaged, model, capacity: 64))
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
        XCTAssertThrowsError(try session.rewind(to: []))
    }
}

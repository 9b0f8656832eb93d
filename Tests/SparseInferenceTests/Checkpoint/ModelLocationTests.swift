import Foundation
import SparseInference
import XCTest

final class ModelLocationTests: XCTestCase {
    private var cache = URL(fileURLWithPath: "/")

    override func setUpWithError() throws {
        cache = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
    }

    override func tearDown() {
        try? FileManager.default.removeItem(at: cache)
    }

    private func add(_ revision: String, isMain: Bool) throws {
        let model = cache.appendingPathComponent("hub/models--org--name")
        for folder in ["snapshots/\(revision)", "refs"] {
            let url = model.appendingPathComponent(folder)
            try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        }
        try Data("{}".utf8).write(to: model.appendingPathComponent("snapshots/\(revision)/config.json"))
        if isMain { try Data("\(revision)\n".utf8).write(to: model.appendingPathComponent("refs/main")) }
    }

    private func found(_ name: String, _ environment: [String: String]) throws -> String {
        try ModelLocation.folder(name, environment: environment).lastPathComponent
    }

    func testNamesAreFoundInTheCache() throws {
        try add("aaa", isMain: false)
        let places = [["HF_HOME": cache.path], ["HF_HUB_CACHE": cache.appendingPathComponent("hub").path]]
        for environment in places {
            XCTAssertEqual(try found("org/name", environment), "aaa")
        }
        try add("bbb", isMain: true)
        XCTAssertEqual(try found("org/name", places[0]), "bbb")
        let standard = cache.appendingPathComponent(".cache/huggingface")
        try FileManager.default.createDirectory(at: standard, withIntermediateDirectories: true)
        try FileManager.default.moveItem(
            at: cache.appendingPathComponent("hub"),
            to: standard.appendingPathComponent("hub")
        )
        XCTAssertEqual(try found("org/name", ["HOME": cache.path]), "bbb")
    }

    func testPathsComeFirstAndNamesCannotLeaveTheCache() throws {
        try add("aaa", isMain: true)
        let environment = ["HF_HOME": cache.path]
        XCTAssertEqual(try found(cache.path, environment), cache.lastPathComponent)
        for name in ["org/other", "../name", "org/.hidden", "name", "a/b/c", "org/name\0"] {
            XCTAssertThrowsError(try found(name, environment), name) {
                XCTAssertTrue("\($0)".contains("looked in"), "\($0)")
            }
        }
        try Data("../../../x".utf8).write(
            to: cache.appendingPathComponent("hub/models--org--name/refs/main")
        )
        XCTAssertEqual(try found("org/name", environment), "aaa", "a reference that leads elsewhere is none")
    }
}

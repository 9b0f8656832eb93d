import Foundation
import SparseInference
import XCTest

/// What may be mapped, and what is refused.
final class MappedFileTests: XCTestCase {
    func testMapsEveryByte() throws {
        let folder = try TemporaryFolder()
        for count in [0, 1, 4095, 4096, 4097, 100_000] {
            let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0 &* 31) }
            let file = try MappedFile(contentsOf: folder.write(bytes, as: "file.bin"))
            XCTAssertEqual(file.byteCount, count)
            XCTAssertEqual(withExtendedLifetime(file) { Array(file.bytes) }, bytes, "\(count) bytes")
            XCTAssertEqual(file.name, "file.bin")
        }
    }

    func testOutlivesTheNameOfTheFile() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("still here", as: "file.bin")
        let file = try MappedFile(contentsOf: url)
        try FileManager.default.removeItem(at: url)
        XCTAssertEqual(withExtendedLifetime(file) { Array(file.bytes) }, Array("still here".utf8))
    }

    func testFollowsLinksToFiles() throws {
        let folder = try TemporaryFolder()
        let target = try folder.write("blob", as: "target")
        let link = folder.url.appendingPathComponent("link")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: target)
        XCTAssertEqual(try MappedFile(contentsOf: link).byteCount, 4)
    }

    func testRefusesWhatIsNotThere() throws {
        let folder = try TemporaryFolder()
        let missing = folder.url.appendingPathComponent("missing.bin")
        assertError(.checkpoint(file: "missing.bin", .missingFile)) { try MappedFile(contentsOf: missing) }
        let file = try folder.write("x", as: "file.bin")
        assertError(.checkpoint(file: "below", .missingFile)) {
            try MappedFile(contentsOf: file.appendingPathComponent("below"))
        }
        let link = folder.url.appendingPathComponent("link")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: missing)
        assertError(.checkpoint(file: "link", .missingFile)) { try MappedFile(contentsOf: link) }
    }

    func testRefusesLinksThatRunInCircles() throws {
        let folder = try TemporaryFolder()
        let link = folder.url.appendingPathComponent("link")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: link)
        assertError(.checkpoint(file: "link", .unreadable(code: ELOOP))) { try MappedFile(contentsOf: link) }
    }

    func testRefusesFoldersDevicesAndPipes() throws {
        let folder = try TemporaryFolder()
        let inner = folder.url.appendingPathComponent("inner")
        try FileManager.default.createDirectory(at: inner, withIntermediateDirectories: false)
        assertError(.checkpoint(file: "inner", .notRegularFile)) { try MappedFile(contentsOf: inner) }
        assertError(.checkpoint(file: "null", .notRegularFile)) {
            try MappedFile(contentsOf: URL(fileURLWithPath: "/dev/null"))
        }
        // Opening a pipe without a writer must not wait.
        let pipe = folder.url.appendingPathComponent("pipe")
        XCTAssertEqual(mkfifo(pipe.path, 0o600), 0)
        assertError(.checkpoint(file: "pipe", .notRegularFile)) { try MappedFile(contentsOf: pipe) }
    }

    func testJSONFilesAreBoundedAndStrict() throws {
        let folder = try TemporaryFolder()
        let url = try folder.write("[1, 2]", as: "list.json")
        XCTAssertEqual(try JSONValue(contentsOf: url, limit: 6).array?.count, 2)
        assertError(.checkpoint(file: "list.json", .fileTooLarge(byteCount: 6, limit: 5))) {
            try JSONValue(contentsOf: url, limit: 5)
        }
        try folder.write("[1, 2", as: "list.json")
        assertError(.malformedJSON(file: "list.json", .unexpectedEnd)) {
            try JSONValue(contentsOf: url, limit: 100)
        }
        try folder.write("[-Infinity]", as: "list.json")
        assertError(.malformedJSON(file: "list.json", .malformedNumber(offset: 1))) {
            try JSONValue(contentsOf: url, limit: 100)
        }
        XCTAssertNoThrow(try JSONValue(contentsOf: url, limit: 100, dialect: .nonFiniteNumbers))
    }
}

import Foundation
import SparseInference
import XCTest

/// A folder of its own for one test, removed with the object.
final class TemporaryFolder {
    let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory
            .appendingPathComponent("sparse-inference-\(UUID().uuidString)", isDirectory: true)
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    /// Writes a file and says where it is.
    @discardableResult
    func write(_ bytes: [UInt8], as name: String) throws -> URL {
        let file = url.appendingPathComponent(name)
        try Data(bytes).write(to: file)
        return file
    }

    /// Writes a file and says where it is.
    @discardableResult
    func write(_ text: String, as name: String) throws -> URL {
        try write(Array(text.utf8), as: name)
    }
}

/// The bytes of a safetensors file: header length, header, data.
func safetensors(header: String, data: [UInt8] = [], headerLength: UInt64? = nil) -> [UInt8] {
    let length = headerLength ?? UInt64(header.utf8.count)
    return (0..<8).map { UInt8(truncatingIfNeeded: length >> (8 * UInt64($0))) } + Array(header.utf8) + data
}

/// The entry of a tensor in a safetensors header.
func entry(_ name: String, _ dataType: String, _ shape: [Int], _ offsets: Range<Int>) -> String {
    "\"\(name)\":{\"dtype\":\"\(dataType)\",\"shape\":\(shape),"
        + "\"data_offsets\":[\(offsets.lowerBound),\(offsets.upperBound)]}"
}

/// Checks that reading a file fails with exactly this error.
func assertError<Result>(
    _ expected: SparseInferenceError,
    _ message: String = "",
    file: StaticString = #filePath,
    line: UInt = #line,
    _ body: () throws -> Result
) {
    XCTAssertThrowsError(try body(), message, file: file, line: line) { error in
        XCTAssertEqual(error as? SparseInferenceError, expected, message, file: file, line: line)
    }
}

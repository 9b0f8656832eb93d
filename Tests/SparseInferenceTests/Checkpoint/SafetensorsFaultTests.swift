import Foundation
import SparseInference
import XCTest

/// Every way a safetensors file can lie, one by one.
final class SafetensorsFaultTests: XCTestCase {
    private func assertFault(
        _ fault: CheckpointFault,
        _ bytes: [UInt8],
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        let folder = try TemporaryFolder()
        let url = try folder.write(bytes, as: "file.safetensors")
        assertError(.checkpoint(file: "file.safetensors", fault), file: file, line: line) {
            try SafetensorsFile(contentsOf: url)
        }
    }

    /// Checks the fault of one tensor `a` whose entry is given, before `dataBytes` bytes of data.
    private func assertFault(
        _ fault: TensorFault,
        entry: String,
        dataBytes: Int = 16,
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        let bytes = safetensors(header: "{\"a\":\(entry)}", data: Array(repeating: 0, count: dataBytes))
        try assertFault(.tensor("a", fault), bytes, file: file, line: line)
    }

    private func assertFault(
        _ fault: TensorFault,
        dataType: String = "\"F32\"",
        shape: String = "[4]",
        offsets: String = "[0,16]",
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        let entry = "{\"dtype\":\(dataType),\"shape\":\(shape),\"data_offsets\":\(offsets)}"
        try assertFault(fault, entry: entry, file: file, line: line)
    }

    func testHeaderLength() throws {
        let header = "{" + entry("a", "F32", [4], 0..<16) + "}"
        let data = [UInt8](repeating: 0, count: 16)
        let available = header.utf8.count + 16
        try assertFault(.truncated(byteCount: 0, expected: 8), [])
        try assertFault(.truncated(byteCount: 7, expected: 8), [16, 0, 0, 0, 0, 0, 0])
        for length: UInt64 in [UInt64(available) + 1, 1_000_000, 1 << 63, (1 << 63) - 1, .max, .max - 7] {
            try assertFault(
                .headerLength(found: length, available: available),
                safetensors(header: header, data: data, headerLength: length)
            )
        }
        try assertFault(.malformedHeader(.unexpectedEnd), safetensors(header: "", data: data))
        try assertFault(
            .headerLength(found: UInt64(header.utf8.count), available: 20),
            Array(safetensors(header: header, data: data).prefix(28))
        )
    }

    func testHeaderIsAnObject() throws {
        try assertFault(
            .malformedHeader(.unexpectedByte(UInt8(ascii: "h"), offset: 0)),
            safetensors(header: "hello")
        )
        try assertFault(.headerNotObject(found: "an array of 2"), safetensors(header: "[1,2]"))
        try assertFault(.headerNotObject(found: "null"), safetensors(header: "null"))
        try assertFault(
            .malformedHeader(.unexpectedByte(0x20, offset: 0)),
            safetensors(header: " {}")
        )
        try assertFault(.malformedHeader(.trailingBytes(offset: 2)), safetensors(header: "{}\u{0}"))
        try assertFault(
            .malformedHeader(.invalidUTF8(offset: 2)),
            [5, 0, 0, 0, 0, 0, 0, 0] + Array("{\"".utf8) + [0xFF] + Array("\"}".utf8)
        )
        let deep = String(repeating: "[", count: 50_000) + String(repeating: "]", count: 50_000)
        try assertFault(.malformedHeader(.tooDeep(limit: 8)), safetensors(header: "{\"a\":\(deep)}"))
    }

    func testNamesAreUnique() throws {
        let data = [UInt8](repeating: 0, count: 32)
        let twice = "{" + entry("a", "F32", [4], 0..<16) + "," + entry("a", "F32", [4], 16..<32) + "}"
        try assertFault(.malformedHeader(.duplicateKey("a")), safetensors(header: twice, data: data))
        // The same name to a reader, composed and decomposed in the file.
        let alike =
            "{" + entry("\u{E9}", "F32", [4], 0..<16) + "," + entry("e\u{301}", "F32", [4], 16..<32) + "}"
        try assertFault(.tensor("\u{E9}", .duplicateName), safetensors(header: alike, data: data))
    }

    func testMetadataHoldsStrings() throws {
        try assertFault(
            .malformedMetadata(key: "", found: "an array of 0"),
            safetensors(header: "{\"__metadata__\":[]}")
        )
        try assertFault(
            .malformedMetadata(key: "", found: "null"),
            safetensors(header: "{\"__metadata__\":null}")
        )
        try assertFault(
            .malformedMetadata(key: "x", found: "an object of 1"),
            safetensors(header: "{\"__metadata__\":{\"w\":\"\",\"x\":{\"y\":1}}}")
        )
    }

    func testEntriesHaveThreeFields() throws {
        try assertFault(.notAnObject(found: "an array of 0"), entry: "[]")
        try assertFault(.notAnObject(found: "null"), entry: "null")
        try assertFault(.missingField(.dataType), entry: "{\"shape\":[4],\"data_offsets\":[0,16]}")
        try assertFault(.missingField(.shape), entry: "{\"dtype\":\"F32\",\"data_offsets\":[0,16]}")
        try assertFault(.missingField(.offsets), entry: "{\"dtype\":\"F32\",\"shape\":[4]}")
        try assertFault(
            .unexpectedField("strides"),
            entry: "{\"dtype\":\"F32\",\"shape\":[4],\"strides\":[1],\"data_offsets\":[0,16]}"
        )
    }

    func testDataTypes() throws {
        for name in ["F24", "f32", "F32 ", "", "F8_E4M3FN", "FLOAT"] {
            try assertFault(.unknownDataType(name), dataType: "\"\(name)\"")
        }
        try assertFault(.malformedField(.dataType, found: "32"), dataType: "32")
        try assertFault(.malformedField(.dataType, found: "null"), dataType: "null")
    }

    func testShapes() throws {
        try assertFault(.malformedField(.shape, found: "\"4\""), shape: "\"4\"")
        try assertFault(.malformedField(.shape, found: "-2"), shape: "[-2,-2]")
        try assertFault(.malformedField(.shape, found: "4.0"), shape: "[4.0]")
        try assertFault(.malformedField(.shape, found: "4e0"), shape: "[4e0]")
        try assertFault(.malformedField(.shape, found: "an array of 1"), shape: "[[4]]")
        try assertFault(
            .malformedField(.shape, found: "9223372036854775808"),
            shape: "[9223372036854775808]"
        )
        try assertFault(.byteCount(found: 16, expected: 20), shape: "[5]")
        try assertFault(.byteCount(found: 16, expected: 4), shape: "[]")
        try assertFault(.byteCount(found: 16, expected: 0), shape: "[4,0]")
    }

    func testShapesThatOverflow() throws {
        let shapes: [[Int]] = [
            [1 << 32, 1 << 32, 4], [(1 << 62) + 4], [1 << 40, 1 << 40, 0], [0, 1 << 40, 1 << 40],
            [.max, .max],
            [0, .max],
        ]
        for shape in shapes {
            try assertFault(.shapeOverflow(shape), shape: "\(shape)")
            try assertFault(.shapeOverflow(shape), shape: "\(shape)", offsets: "[0,0]")
        }
    }

    func testOffsets() throws {
        try assertFault(.malformedField(.offsets, found: "a list of 3"), offsets: "[0,16,32]")
        try assertFault(.malformedField(.offsets, found: "a list of 0"), offsets: "[]")
        try assertFault(.malformedField(.offsets, found: "16"), offsets: "16")
        try assertFault(.malformedField(.offsets, found: "-16"), offsets: "[-16,0]")
        try assertFault(.malformedField(.offsets, found: "0.5"), offsets: "[0.5,16.5]")
        try assertFault(
            .malformedField(.offsets, found: "9223372036854775808"),
            offsets: "[9223372036854775792,9223372036854775808]"
        )
        try assertFault(.reversedOffsets(start: 16, end: 0), offsets: "[16,0]")
        try assertFault(.outOfBounds(end: 17, available: 16), offsets: "[1,17]")
        try assertFault(.outOfBounds(end: .max, available: 16), offsets: "[0,\(Int.max)]")
    }

    func testTensorsCoverTheDataOnce() throws {
        func bytes(_ ranges: [Range<Int>], dataBytes: Int) -> [UInt8] {
            let entries = ranges.enumerated().map { entry("t\($0)", "U8", [$1.count], $1) }
            let header = "{" + entries.joined(separator: ",") + "}"
            return safetensors(header: header, data: Array(repeating: 0, count: dataBytes))
        }
        try assertFault(.tensor("t1", .overlaps("t0")), bytes([0..<16, 8..<24], dataBytes: 24))
        try assertFault(.tensor("t1", .overlaps("t0")), bytes([0..<16, 0..<16], dataBytes: 16))
        try assertFault(.tensor("t1", .overlaps("t0")), bytes([0..<16, 8..<8], dataBytes: 16))
        try assertFault(.tensor("t0", .overlaps("t1")), bytes([15..<20, 0..<16], dataBytes: 20))
        try assertFault(.unclaimedBytes(16..<20), bytes([0..<16, 20..<36], dataBytes: 36))
        try assertFault(.unclaimedBytes(0..<4), bytes([4..<20], dataBytes: 20))
        try assertFault(.unclaimedBytes(32..<37), bytes([0..<16, 16..<32], dataBytes: 37))
        try assertFault(.unclaimedBytes(0..<1), bytes([], dataBytes: 1))
        try assertFault(
            .tensor("t1", .outOfBounds(end: 32, available: 25)),
            bytes([0..<16, 16..<32], dataBytes: 25)
        )
    }
}

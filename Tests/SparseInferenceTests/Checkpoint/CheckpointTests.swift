import Foundation
import SparseInference
import XCTest

/// Folders of weight files, with and without an index.
final class CheckpointTests: XCTestCase {
    private let index = "model.safetensors.index.json"
    private let first = "model-00001-of-00002.safetensors"
    private let second = "model-00002-of-00002.safetensors"

    /// A file of U8 tensors of four bytes each, filled with `value`.
    private func weights(_ names: [String], value: UInt8 = 0) -> [UInt8] {
        let entries = names.enumerated().map { entry($1, "U8", [2, 2], 4 * $0..<4 * $0 + 4) }
        let header = "{" + entries.joined(separator: ",") + "}"
        return safetensors(header: header, data: Array(repeating: value, count: 4 * names.count))
    }

    private func indexText(_ map: [(String, String)]) -> String {
        let members = map.map { "\"\($0)\":\"\($1)\"" }.joined(separator: ",")
        return "{\"metadata\":{\"total_size\":16},\"weight_map\":{\(members)}}"
    }

    /// A folder with tensors a and b in the first file and c in the second.
    private func sharded(index map: [(String, String)]) throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write(weights(["a", "b"], value: 1), as: first)
        try folder.write(weights(["c"], value: 2), as: second)
        try folder.write(indexText(map), as: index)
        return folder
    }

    private func assertIndexFault(
        _ fault: CheckpointFault,
        _ map: [(String, String)],
        file: StaticString = #filePath,
        line: UInt = #line
    ) throws {
        let folder = try sharded(index: map)
        assertError(.checkpoint(file: index, fault), file: file, line: line) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testOpensASingleFile() throws {
        let folder = try TemporaryFolder()
        try folder.write(weights(["b", "a"], value: 7), as: "model.safetensors")
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(checkpoint.names, ["a", "b"])
        XCTAssertEqual(checkpoint.totalBytes, 8)
        XCTAssertEqual(checkpoint.entry("a")?.file, "model.safetensors")
        XCTAssertNil(checkpoint.entry("c"))
        XCTAssertEqual(try checkpoint.file(of: "b").bytes(of: "b"), [7, 7, 7, 7])
    }

    func testOpensShards() throws {
        let folder = try sharded(index: [("a", first), ("b", first), ("c", second)])
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(checkpoint.names, ["a", "b", "c"])
        XCTAssertEqual(checkpoint.totalBytes, 12)
        for (name, value) in [("a", 1), ("b", 1), ("c", 2)] as [(String, UInt8)] {
            let entry = try XCTUnwrap(checkpoint.entry(name))
            XCTAssertEqual(Array(checkpoint.mappedBytes(of: entry)), [value, value, value, value], name)
        }
    }

    func testLeavesUnlistedTensorsAside() throws {
        let folder = try sharded(index: [("a", first), ("c", second)])
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(checkpoint.names, ["a", "c"])
        XCTAssertEqual(checkpoint.totalBytes, 8)
        XCTAssertNil(checkpoint.entry("b"))
    }

    func testShardsMayBeLinks() throws {
        let folder = try sharded(index: [("a", first), ("c", second)])
        let blobs = try TemporaryFolder()
        let link = folder.url.appendingPathComponent(second)
        try FileManager.default.removeItem(at: link)
        let blob = try blobs.write(weights(["c"], value: 9), as: "0123abcd")
        try FileManager.default.createSymbolicLink(at: link, withDestinationURL: blob)
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(try checkpoint.file(of: "c").bytes(of: "c"), [9, 9, 9, 9])
        XCTAssertEqual(checkpoint.entry("c")?.file, second)
    }

    func testRequiresShapeAndType() throws {
        let folder = try sharded(index: [("a", first), ("c", second)])
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(
            try checkpoint.require("c", shape: [2, 2], dataTypes: [.float32, .uint8]),
            checkpoint.entry("c")
        )
        assertError(.checkpoint(file: index, .tensor("d", .missing))) {
            try checkpoint.require("d", shape: [2, 2], dataTypes: [.uint8])
        }
        assertError(.checkpoint(file: second, .tensor("c", .shape(found: [2, 2], expected: [4])))) {
            try checkpoint.require("c", shape: [4], dataTypes: [.uint8])
        }
        let types: [DataType] = [.float32, .bfloat16]
        assertError(.checkpoint(file: first, .tensor("a", .dataType(found: .uint8, expected: types)))) {
            try checkpoint.require("a", shape: [2, 2], dataTypes: types)
        }
        assertError(.checkpoint(file: index, .tensor("d", .missing))) { try checkpoint.file(of: "d") }
    }

    func testCopiesFloats() throws {
        let folder = try TemporaryFolder()
        let header = "{" + entry("norm", "BF16", [2], 0..<4) + "}"
        try folder.write(
            safetensors(header: header, data: [0x80, 0x3F, 0x00, 0x40]),
            as: "model.safetensors"
        )
        let checkpoint = try Checkpoint(contentsOf: folder.url)
        XCTAssertEqual(try checkpoint.floats(of: "norm"), [1, 2])
        assertError(.checkpoint(file: "model.safetensors", .tensor("bias", .missing))) {
            try checkpoint.floats(of: "bias")
        }
    }

    func testRefusesAFolderWithoutWeights() throws {
        let folder = try TemporaryFolder()
        assertError(.checkpoint(file: folder.url.lastPathComponent, .noWeights)) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testABrokenSingleFileIsNotPassedOver() throws {
        let folder = try sharded(index: [("a", first)])
        try folder.write("", as: "model.safetensors")
        assertError(.checkpoint(file: "model.safetensors", .truncated(byteCount: 0, expected: 8))) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testRefusesNamesThatLeaveTheFolder() throws {
        let names = [
            "../outside/model.safetensors", "/srv/model.safetensors", "sub/../../model.safetensors",
            "sub/model.safetensors", "./model.safetensors", "..", ".", "", ".safetensors", "model.bin",
            "..safetensors", "C:model.safetensors", "model.safetensors/", "model.safetensors\u{7F}",
            String(repeating: "m", count: 300) + ".safetensors",
        ]
        for name in names {
            try assertIndexFault(.unsafeShardName(name), [("a", first), ("b", name)])
        }
        let folder = try sharded(index: [("a", #"..\\model.safetensors"#)])
        assertError(.checkpoint(file: index, .unsafeShardName(#"..\model.safetensors"#))) {
            try Checkpoint(contentsOf: folder.url)
        }
        try folder.write(indexText([("a", #"a\u0000.safetensors"#)]), as: index)
        assertError(.checkpoint(file: index, .unsafeShardName("a\u{0}.safetensors"))) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testRefusesAnIndexThatDisagreesWithTheFiles() throws {
        try assertIndexFault(.missingShard("third.safetensors"), [("a", first), ("c", "third.safetensors")])
        try assertIndexFault(.tensor("c", .notInShard(first)), [("a", first), ("c", first)])
        try assertIndexFault(.tensor("d", .notInShard(second)), [("d", second)])
        try assertIndexFault(.emptyIndex, [])
    }

    func testRefusesATensorInTwoFiles() throws {
        let folder = try sharded(index: [("a", first), ("c", second)])
        try folder.write(weights(["c", "b"]), as: second)
        assertError(.checkpoint(file: index, .tensor("b", .inTwoShards(first, second)))) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testRefusesAMalformedShard() throws {
        let folder = try sharded(index: [("a", first), ("c", second)])
        try folder.write("short", as: second)
        assertError(.checkpoint(file: second, .truncated(byteCount: 5, expected: 8))) {
            try Checkpoint(contentsOf: folder.url)
        }
    }

    func testRefusesAMalformedIndex() throws {
        let cases: [(text: String, found: String)] = [
            ("[]", "an array of 0"), ("{}", "missing"), ("{\"weight_map\":[\"a\"]}", "an array of 1"),
            ("{\"weight_map\":null}", "null"), ("{\"weight_map\":{\"a\":1}}", "1 for \"a\""),
        ]
        let folder = try sharded(index: [])
        for (text, found) in cases {
            try folder.write(text, as: index)
            assertError(.checkpoint(file: index, .malformedIndex(found: found)), text) {
                try Checkpoint(contentsOf: folder.url)
            }
        }
        try folder.write("weight_map: oops", as: index)
        let fault = JSONFault.unexpectedByte(UInt8(ascii: "w"), offset: 0)
        assertError(.malformedJSON(file: index, fault)) { try Checkpoint(contentsOf: folder.url) }
        try folder.write(indexText([("a", first), ("a", second)]), as: index)
        assertError(.malformedJSON(file: index, .duplicateKey("a"))) {
            try Checkpoint(contentsOf: folder.url)
        }
    }
}

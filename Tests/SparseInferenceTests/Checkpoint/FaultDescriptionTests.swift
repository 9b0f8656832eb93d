import SparseInference
import XCTest

/// Every fault says what, where, found and expected, each in its own words.
final class FaultDescriptionTests: XCTestCase {
    func testTensorFaults() {
        let faults: [TensorFault] = [
            .notAnObject(found: "null"), .missingField(.shape), .unexpectedField("x"),
            .malformedField(.dataType, found: "1"), .malformedField(.shape, found: "1"),
            .malformedField(.offsets, found: "1"), .unknownDataType("F24"), .shapeOverflow([1]),
            .reversedOffsets(start: 2, end: 1), .outOfBounds(end: 2, available: 1),
            .byteCount(found: 1, expected: 2), .overlaps("b"), .duplicateName, .missing, .notInShard("f"),
            .inTwoShards("f", "g"), .shape(found: [1], expected: [2]),
            .dataType(found: .int8, expected: [.float32, .bfloat16]),
        ]
        XCTAssertEqual(Set(faults.map(\.description)).count, faults.count)
        XCTAssertEqual(faults.last?.description, "dtype is I8, expected F32 or BF16")
    }

    func testCheckpointFaults() {
        let faults: [CheckpointFault] = [
            .missingFile, .unreadable(code: 13), .notRegularFile, .fileTooLarge(byteCount: 2, limit: 1),
            .noWeights, .truncated(byteCount: 1, expected: 8), .headerLength(found: 9, available: 8),
            .malformedHeader(.unexpectedEnd), .headerNotObject(found: "null"),
            .malformedMetadata(key: "", found: "1"), .malformedMetadata(key: "k", found: "1"),
            .unclaimedBytes(1..<2), .malformedIndex(found: "null"), .emptyIndex, .unsafeShardName("../x"),
            .missingShard("x"), .tensor("t", .missing),
        ]
        XCTAssertEqual(Set(faults.map(\.description)).count, faults.count)
    }

    func testConfigurationFaults() {
        let faults: [ConfigurationFault] = [
            .notAnObject(found: "null"), .missingField("f"),
            .wrongType(field: "f", found: "1", expected: .bool),
            .outOfRange(field: "f", found: 0, allowed: 1...2),
            .numberOutOfRange(field: "f", found: 0, allowed: 1...2),
            .notMultiple(field: "f", found: 3, of: 2),
            .wrongCount(field: "f", found: 1, expected: 2),
            .unsupported(field: "f", found: "a", supported: ["b", "c"]),
            .conflict(field: "f", found: "1", other: "g", otherFound: "2"), .noSelectionToShare(field: "f"),
        ]
        XCTAssertEqual(Set(faults.map(\.description)).count, faults.count)
        XCTAssertEqual(faults[3].description, "f is 0, expected 1 to 2")
    }

    func testErrorsNameTheFile() {
        let errors: [SparseInferenceError] = [
            .malformedJSON(file: "some.json", .unexpectedEnd),
            .configuration(file: "some.json", .missingField("hidden_size")),
            .checkpoint(file: "some.json", .emptyIndex),
        ]
        for error in errors { XCTAssertTrue(error.description.hasPrefix("some.json: "), error.description) }
        XCTAssertEqual(errors[1].description, "some.json: hidden_size is missing")
    }
}

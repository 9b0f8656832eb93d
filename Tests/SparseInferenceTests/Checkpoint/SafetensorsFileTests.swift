import Foundation
import SparseInference
import XCTest

/// What a valid file gives back.
final class SafetensorsFileTests: XCTestCase {
    private func open(_ bytes: [UInt8]) throws -> SafetensorsFile {
        let folder = try TemporaryFolder()
        return try SafetensorsFile(contentsOf: folder.write(bytes, as: "file.safetensors"))
    }

    func testListsTensorsInTheOrderOfTheHeader() throws {
        let header =
            "{" + entry("z", "F32", [2, 2], 4..<20) + ",\"__metadata__\":{\"format\":\"pt\",\"note\":\"\"},"
            + entry("a", "U8", [4], 0..<4) + "}"
        let file = try open(safetensors(header: header, data: Array(0..<20)))
        let start = 8 + header.utf8.count
        XCTAssertEqual(file.name, "file.safetensors")
        XCTAssertEqual(file.names, ["z", "a"])
        XCTAssertEqual(file.metadata, ["format": "pt", "note": ""])
        XCTAssertEqual(file.tensors["z"]?.name, "z")
        XCTAssertEqual(file.tensors["z"]?.dataType, .float32)
        XCTAssertEqual(file.tensors["z"]?.shape, [2, 2])
        XCTAssertEqual(file.tensors["z"]?.byteRange, start + 4..<start + 20)
        XCTAssertEqual(file.tensors["z"]?.file, "file.safetensors")
        XCTAssertEqual(file.tensors["z"]?.elementCount, 4)
        XCTAssertEqual(file.tensors["z"]?.byteCount, 16)
        XCTAssertEqual(try file.withBytes(of: "a") { Array($0) }, [0, 1, 2, 3])
    }

    func testAcceptsScalarsEmptyTensorsAndPadding() throws {
        let header =
            "{" + entry("scalar", "F32", [], 0..<4) + "," + entry("empty", "F32", [0, 3], 4..<4) + ","
            + entry("also empty", "BF16", [0], 0..<0) + "}   "
        let file = try open(safetensors(header: header, data: [0, 0, 0x80, 0x3F]))
        XCTAssertEqual(try file.floats(of: "scalar"), [1])
        XCTAssertEqual(try file.floats(of: "empty"), [])
        XCTAssertEqual(try file.floats(of: "also empty"), [])
        XCTAssertEqual(try file.withBytes(of: "empty") { $0.count }, 0)
        XCTAssertEqual(try open(safetensors(header: "{}")).names, [])
    }

    func testKnowsEveryDataType() throws {
        for dataType in DataType.allCases {
            let size = 3 * dataType.byteWidth
            let header = "{" + entry("t", dataType.rawValue, [3], 0..<size) + "}"
            let file = try open(safetensors(header: header, data: Array(repeating: 0, count: size)))
            XCTAssertEqual(file.tensors["t"]?.dataType, dataType)
            XCTAssertEqual(file.tensors["t"]?.elementCount, 3)
        }
    }

    func testCopiesValuesWhereverTheDataStarts() throws {
        let values: [Float] = [0, -0.0, 1, -2.5, .infinity, 0x1p-149, .greatestFiniteMagnitude]
        let floatBytes = values.flatMap { value in
            (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> (8 * $0)) }
        }
        let count = values.count
        for padding in 0..<8 {
            let header =
                "{" + entry("f", "F32", [count], 0..<4 * count) + ","
                + entry("i", "I32", [count], 4 * count..<8 * count) + "}"
                + String(repeating: " ", count: padding)
            let file = try open(safetensors(header: header, data: floatBytes + floatBytes))
            XCTAssertEqual(try file.floats(of: "f").map(\.bitPattern), values.map(\.bitPattern))
            XCTAssertEqual(
                try file.int32s(of: "i"),
                values.map { Int32(bitPattern: $0.bitPattern) },
                "\(padding) bytes of padding"
            )
            XCTAssertEqual(try file.doubles(of: "f"), values.map(Double.init))
        }
    }

    func testWidensHalfPrecisionExactly() throws {
        for bits in UInt16.min...UInt16.max {
            let value = Float(halfBitPattern: bits)
            let exponent = Int(bits >> 10 & 0x1F)
            let fraction = Double(bits & 0x3FF) / 1024
            let sign: FloatingPointSign = bits & 0x8000 == 0 ? .plus : .minus
            XCTAssertEqual(value.sign, sign)
            switch exponent {
            case 0x1F where fraction == 0: XCTAssertEqual(value.magnitude, .infinity)
            case 0x1F: XCTAssertTrue(value.isNaN)
            case 0: XCTAssertEqual(Double(value.magnitude), fraction * 0x1p-14)
            default:
                let power = Double(sign: .plus, exponent: exponent - 15, significand: 1)
                XCTAssertEqual(Double(value.magnitude), (1 + fraction) * power)
            }
        }
    }

    func testCopiesHalvesDoublesAndBytes() throws {
        let header =
            "{" + entry("half", "F16", [2], 0..<4) + "," + entry("brain", "BF16", [2], 4..<8) + ","
            + entry("double", "F64", [1], 8..<16) + "," + entry("code", "F8_E4M3", [2], 16..<18) + ","
            + entry("truth", "BOOL", [2], 18..<20) + "}"
        let data: [UInt8] =
            [0x00, 0x3C, 0x01, 0x00] + [0x80, 0x3F, 0x20, 0xC1] + [0, 0, 0, 0, 0, 0, 0xF8, 0xBF]
            + [0x7F, 0x80] + [1, 0]
        let file = try open(safetensors(header: header, data: data))
        XCTAssertEqual(try file.floats(of: "half"), [1, 0x1p-24])
        XCTAssertEqual(try file.floats(of: "brain"), [1, -10])
        XCTAssertEqual(try file.doubles(of: "half"), [1, 0x1p-24])
        XCTAssertEqual(try file.doubles(of: "double"), [-1.5])
        XCTAssertEqual(try file.bytes(of: "code"), [0x7F, 0x80])
        XCTAssertEqual(try file.bytes(of: "truth"), [1, 0])
    }

    func testRefusesToReadATensorAsSomethingElse() throws {
        let header = "{" + entry("i", "I64", [1], 0..<8) + "}"
        let file = try open(safetensors(header: header, data: Array(repeating: 0, count: 8)))
        func error(_ expected: [DataType]) -> SparseInferenceError {
            .checkpoint(
                file: "file.safetensors",
                .tensor("i", .dataType(found: .int64, expected: expected))
            )
        }
        assertError(error([.float32, .float16, .bfloat16])) { try file.floats(of: "i") }
        assertError(error([.float64, .float32, .float16, .bfloat16])) { try file.doubles(of: "i") }
        assertError(error([.int32])) { try file.int32s(of: "i") }
        assertError(error([.float8E4M3, .float8E5M2, .float8E8M0, .int8, .uint8, .bool])) {
            try file.bytes(of: "i")
        }
        let missing = SparseInferenceError.checkpoint(file: "file.safetensors", .tensor("j", .missing))
        assertError(missing) { try file.floats(of: "j") }
        assertError(missing) { try file.withBytes(of: "j") { $0.count } }
    }
}

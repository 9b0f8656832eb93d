import CDSAOracle
import Foundation
import SparseAttention
import SparseInference
import XCTest

let accepted = Int32(DSA_OK)
let float32 = Int32(DSA_FLOAT32)
let bfloat16 = Int32(DSA_BFLOAT16)
let e4m3 = Int32(DSA_E4M3)
let plainScale = Int32(DSA_SCALE_FLOAT32)
let powerOfTwo = Int32(DSA_SCALE_POWER_OF_TWO)

/// What an output holds before a call: a number no result is.
let poison: Float = -12345.5

/// Fails with the library's reason when a call was refused.
func assertAccepted(_ status: Int32, file: StaticString = #filePath, line: UInt = #line) {
    XCTAssertEqual(status, accepted, String(cString: dsa_last_error_message()), file: file, line: line)
}

/// Fails unless a call was refused with a code, and a message that begins as expected.
func assertRefused(
    _ status: Int32,
    _ code: Int,
    _ beginning: String,
    file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertEqual(status, Int32(code), "for \(beginning)", file: file, line: line)
    let message = String(cString: dsa_last_error_message())
    XCTAssertTrue(message.hasPrefix(beginning), "'\(message)' is not '\(beginning)…'", file: file, line: line)
}

/// Fails unless numbers have the same bits.
func assertSameBits(
    _ found: [Float],
    _ expected: [Float],
    _ message: @autoclosure () -> String = "",
    file: StaticString = #filePath,
    line: UInt = #line
) {
    XCTAssertEqual(found.map(\.bitPattern), expected.map(\.bitPattern), message(), file: file, line: line)
}

/// The golden tensors that the conformance tests keep.
struct Golden {
    private let file: SafetensorsFile

    init(_ name: String) throws {
        file = try SafetensorsFile(
            contentsOf: repository.appendingPathComponent("Tests/ConformanceTests/Fixtures/\(name)")
        )
    }

    static func operators() throws -> Golden { try Golden("ops/ops.safetensors") }
    static func numerics() throws -> Golden { try Golden("numerics/numerics.safetensors") }

    func shape(_ name: String) throws -> [Int] { try file.find(name).shape }
    func floats(_ name: String) throws -> [Float] { try file.floats(of: name) }
    func doubles(_ name: String) throws -> [Double] { try file.floats(of: name).map(Double.init) }
    func int32s(_ name: String) throws -> [Int32] { try file.int32s(of: name) }
    func bytes(_ name: String) throws -> [UInt8] { try file.bytes(of: name) }
    func tensor(_ name: String) throws -> Tensor { try Tensor(floats(name), shape: Shape(shape(name))) }
}

/// The bits of numbers in bfloat16.
func bfloat16Bits(_ values: [Float]) -> [UInt16] {
    values.map { BFloat16($0).bitPattern }
}

/// The root of the repository.
let repository = URL(fileURLWithPath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()

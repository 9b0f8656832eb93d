import SparseAttention
import TestSupport
import XCTest

final class BFloat16Tests: XCTestCase {
    func testEveryCodeSurvivesTheRoundTrip() {
        for code in UInt16.min...UInt16.max {
            let number = BFloat16(bitPattern: code)
            XCTAssertEqual(number.float.bitPattern, UInt32(code) << 16)
            if !number.float.isNaN {
                XCTAssertEqual(BFloat16(number.float), number)
            } else {
                XCTAssertTrue(BFloat16(number.float).float.isNaN)
            }
        }
    }

    func testTiesGoToEven() {
        var generator = SeededGenerator(seed: 1)
        for _ in 0..<500 {
            let code = UInt16(generator.integer(in: 0...0x7F7E))
            let even = code & 1 == 0 ? code : code + 1
            let tie = UInt32(code) << 16 | 0x8000
            for sign in [0, UInt32(0x8000_0000)] {
                let signed = UInt16(sign >> 16)
                XCTAssertEqual(BFloat16(Float(bitPattern: tie | sign)).bitPattern, even | signed)
                XCTAssertEqual(BFloat16(Float(bitPattern: (tie - 1) | sign)).bitPattern, code | signed)
                XCTAssertEqual(BFloat16(Float(bitPattern: (tie + 1) | sign)).bitPattern, (code + 1) | signed)
            }
        }
    }

    func testEdges() {
        XCTAssertEqual(BFloat16(.greatestFiniteMagnitude).float, .infinity)
        XCTAssertEqual(BFloat16(-.greatestFiniteMagnitude).float, -.infinity)
        XCTAssertEqual(BFloat16(.infinity).float, .infinity)
        XCTAssertEqual(BFloat16(-0.0).bitPattern, 0x8000)
        XCTAssertEqual(BFloat16(.leastNonzeroMagnitude).bitPattern, 0)
        XCTAssertTrue(BFloat16(Float(bitPattern: 0x7F80_0001)).float.isNaN)
        XCTAssertTrue(BFloat16(.nan).float.isNaN)
    }

    func testArraysAgreeWithTheDefinition() {
        let numbers = floatsOfEveryKind(count: 2_000, seed: 2)
        var codes = [UInt16](repeating: 0, count: numbers.count)
        Kernels.round(numbers, toBFloat16: &codes, count: numbers.count)
        for (number, code) in zip(numbers, codes) {
            if number.isNaN {
                XCTAssertTrue(BFloat16(bitPattern: code).float.isNaN)
            } else {
                XCTAssertEqual(code, BFloat16(number).bitPattern, "\(number)")
            }
        }
        let all = (UInt16.min...UInt16.max).map { $0 }
        var widened = [Float](repeating: 0, count: all.count)
        Kernels.widen(bfloat16: all, into: &widened, count: all.count)
        XCTAssertTrue(zip(all, widened).allSatisfy { $1.isNaN || $1.bitPattern == UInt32($0) << 16 })
    }

    func testTensorsKeepTheirShape() throws {
        let tensor = try Tensor([1 + 0x1p-8, 1 + 0x1p-7, -3, 0.1], shape: [2, 1, 2])
        let rounded = tensor.roundedToBFloat16()
        XCTAssertEqual(rounded.shape, tensor.shape)
        XCTAssertEqual(rounded.elements, tensor.elements.map { BFloat16($0).float })
        XCTAssertEqual(rounded[0], 1)
    }
}

/// Ordinary numbers, random bit patterns and the numbers at every edge.
func floatsOfEveryKind(count: Int, seed: UInt64) -> [Float] {
    var generator = SeededGenerator(seed: seed)
    var numbers: [Float] = [
        0, -0.0, .infinity, -.infinity, .nan, -.nan, .greatestFiniteMagnitude, .leastNonzeroMagnitude,
        .leastNormalMagnitude, 448, 449, 464, 465, -448, 0x1p-6, 0x1p-9, 0x1p-10, 0x1.8p-10,
    ]
    while numbers.count < count {
        numbers.append(generator.uniform() * 500)
        numbers.append(generator.uniform() * 0x1p-5)
        numbers.append(Float(bitPattern: UInt32(truncatingIfNeeded: generator.next())))
    }
    return numbers
}

import SparseAttention
import TestSupport
import XCTest

final class Float8E4M3Tests: XCTestCase {
    func testEveryCodeHasItsValue() {
        for code in UInt8.min...UInt8.max {
            let (exponent, fraction) = (Int(code >> 3) & 15, Int(code) & 7)
            let number = Float8E4M3(bitPattern: code).float
            XCTAssertEqual(number.sign, code & 0x80 == 0 ? .plus : .minus, "\(code)")
            if code & 0x7F == 0x7F {
                XCTAssertTrue(number.isNaN)
                XCTAssertEqual(Float8E4M3(number).bitPattern, code)
                continue
            }
            // In units of the smallest subnormal, 2^-9, every value is an integer.
            let units = exponent == 0 ? fraction : (8 + fraction) << (exponent - 1)
            XCTAssertEqual(number.magnitude * 512, Float(units), "\(code)")
            XCTAssertEqual(Float8E4M3(number).bitPattern, code)
        }
        XCTAssertEqual(Float8E4M3(bitPattern: 0x7E).float, Float8E4M3.greatestFinite)
    }

    func testTiesGoToEven() {
        for code in UInt8(0)..<0x7E {
            let (below, above) = (Float8E4M3(bitPattern: code).float, Float8E4M3(bitPattern: code + 1).float)
            let tie = (below + above) / 2
            let even = code & 1 == 0 ? code : code + 1
            XCTAssertEqual(Float8E4M3(tie).bitPattern, even)
            XCTAssertEqual(Float8E4M3(-tie).bitPattern, even | 0x80)
            XCTAssertEqual(Float8E4M3(tie.nextDown).bitPattern, code)
            XCTAssertEqual(Float8E4M3(tie.nextUp).bitPattern, code + 1)
        }
    }

    func testClampsAndKeepsSigns() {
        for number: Float in [448, 449, 1e30, .infinity, .greatestFiniteMagnitude] {
            XCTAssertEqual(Float8E4M3(number).bitPattern, 0x7E)
            XCTAssertEqual(Float8E4M3(-number).bitPattern, 0xFE)
        }
        XCTAssertEqual(Float8E4M3(-0.0).bitPattern, 0x80)
        XCTAssertEqual(Float8E4M3(-.leastNonzeroMagnitude).bitPattern, 0x80)
        XCTAssertEqual(Float8E4M3(.nan).bitPattern, 0x7F)
        XCTAssertEqual(Float8E4M3(-.nan).bitPattern, 0xFF)
    }

    func testArraysAgreeWithTheDefinition() {
        let numbers = floatsOfEveryKind(count: 2_000, seed: 3)
        var codes = [UInt8](repeating: 0, count: numbers.count)
        Kernels.round(numbers, toFloat8: &codes, count: numbers.count)
        for (number, code) in zip(numbers, codes) {
            XCTAssertEqual(code, Float8E4M3(number).bitPattern, "\(number)")
        }
        let all = (UInt8.min...UInt8.max).map { $0 }
        var widened = [Float](repeating: 0, count: all.count)
        Kernels.widen(float8: all, into: &widened, count: all.count)
        for (code, number) in zip(all, widened) where !number.isNaN {
            XCTAssertEqual(number.bitPattern, Float8E4M3(bitPattern: code).float.bitPattern)
        }
        XCTAssertEqual(all.filter { widened[Int($0)].isNaN }, [0x7F, 0xFF])
    }
}

final class ScaleFormatTests: XCTestCase {
    func testEveryPowerOfTwoSurvivesTheRoundTrip() {
        for code in UInt8.min..<255 {
            let power = UE8M0(bitPattern: code)
            XCTAssertEqual(power.float.exponent, Int(code) - 127)
            XCTAssertEqual(power.float.significand, 1)
            XCTAssertEqual(UE8M0(roundingUp: power.float), power)
        }
        XCTAssertTrue(UE8M0(bitPattern: 255).float.isNaN)
    }

    func testRoundsUp() {
        for code in UInt8(1)..<254 {
            let power = UE8M0(bitPattern: code).float
            XCTAssertEqual(UE8M0(roundingUp: power.nextUp).bitPattern, code + 1)
            XCTAssertEqual(UE8M0(roundingUp: power.nextDown).bitPattern, code)
        }
        XCTAssertEqual(UE8M0(roundingUp: .leastNonzeroMagnitude).bitPattern, 0)
        for number: Float in [0, -1, .nan, .infinity, Float(0x1p127).nextUp] {
            XCTAssertEqual(UE8M0(roundingUp: number).bitPattern, 255, "\(number)")
        }
    }

    func testScales() {
        XCTAssertEqual(ScaleFormat.float32.scale(forLargest: 448), 448 * (1 / 448))
        XCTAssertEqual(ScaleFormat.float32.scale(forLargest: 0), 1e-4 * (1 / 448))
        XCTAssertEqual(
            ScaleFormat.float32.scale(forLargest: 1e-6),
            ScaleFormat.float32.scale(forLargest: 1e-4)
        )
        XCTAssertEqual(ScaleFormat.powerOfTwo.scale(forLargest: 3), 0x1p-7)
        var generator = SeededGenerator(seed: 4)
        for _ in 0..<500 {
            let largest = generator.uniform().magnitude * 100 + 1e-4
            let (exact, rounded) = (
                ScaleFormat.float32.scale(forLargest: largest),
                ScaleFormat.powerOfTwo.scale(forLargest: largest)
            )
            XCTAssertEqual(rounded.significand, 1)
            XCTAssertTrue((exact..<2 * exact).contains(rounded), "\(largest)")
        }
    }
}

import CKernels
import Foundation
import XCTest

/// Number formats: every code, every tie, bit for bit.
final class FormatKernelTests: XCTestCase {
    func testWideningE4M3GivesEveryCode() throws {
        let codes = (0..<256).map { UInt8($0) }
        for table in KernelTables.supported {
            let values = try guarded(256, filledWith: Float(-7), KernelTables.name(of: table)) {
                table.widen_e4m3(256, codes, $0)
            }
            for code in 0..<256 {
                let expected = Self.e4m3(UInt8(code))
                let isEqual =
                    expected.isNaN
                    ? values[code].isNaN : values[code].bitPattern == Float(expected).bitPattern
                XCTAssertTrue(isEqual, "\(KernelTables.name(of: table)): code \(code) gives \(values[code])")
            }
        }
    }

    func testWideningSixteenBitFormatsGivesEveryCode() throws {
        let codes = (0..<65536).map { UInt16($0) }
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let wide = try guarded(65536, filledWith: Float(-7), name) { table.widen_bf16(65536, codes, $0) }
            let half = try guarded(65536, filledWith: Float(-7), name) { table.widen_f16(65536, codes, $0) }
            for code in 0..<65536 {
                let exact = Float(bitPattern: UInt32(code) << 16)
                let isWide = exact.isNaN ? wide[code].isNaN : wide[code].bitPattern == exact.bitPattern
                XCTAssertTrue(isWide, "\(name): bfloat16 \(code)")
                let value = Self.binary16(UInt16(code))
                let isHalf = value.isNaN ? half[code].isNaN : half[code].bitPattern == Float(value).bitPattern
                XCTAssertTrue(isHalf, "\(name): binary16 \(code)")
            }
        }
    }

    func testRoundingToE4M3IsNearestEven() throws {
        // Every finite value, every tie and its neighbours, numbers beyond the largest, zeros, subnormals.
        let finite = (0..<0x7F).map { Float(Self.e4m3(UInt8($0))) }
        let ties = zip(finite, finite.dropFirst()).map { ($0 + $1) / 2 }
        let magnitudes =
            finite + ties + ties.map(\.nextUp) + ties.map(\.nextDown)
            + [448.5, 464, 465, 1e30, .infinity, .leastNonzeroMagnitude, .leastNormalMagnitude]
        let inputs = magnitudes + magnitudes.map { -$0 } + [.nan, -.nan]
        for table in KernelTables.supported {
            for count in [inputs.count, 1, 5, 17, 33] {
                let name = KernelTables.name(of: table)
                let codes = try guarded(count, filledWith: UInt8(0x55), name) {
                    table.narrow_e4m3(count, inputs, $0)
                }
                for (input, code) in zip(inputs, codes) {
                    XCTAssertEqual(code, Self.nearest(input), "\(name): \(input)")
                }
            }
        }
    }

    func testRoundingToBFloat16IsNearestEven() throws {
        var numbers = Numbers(seed: 5)
        let random = (0..<4000).map { _ in Float(bitPattern: numbers.bits()) }
        let ties = (0..<500).map { _ in Float(bitPattern: numbers.bits() & 0xFFFF_0000 | 0x8000) }
        let inputs =
            random + ties + [0, -0.0, .infinity, -.infinity, .nan, 3.3895314e38, .greatestFiniteMagnitude]
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let codes = try guarded(inputs.count, filledWith: UInt16(0x5555), name) {
                table.narrow_bf16(inputs.count, inputs, $0)
            }
            for (input, code) in zip(inputs, codes) {
                guard !input.isNaN else {
                    XCTAssertTrue(Float(bitPattern: UInt32(code) << 16).isNaN, name)
                    continue
                }
                let low = input.bitPattern & 0xFFFF_0000
                let isUp =
                    input.bitPattern & 0xFFFF > 0x8000
                    || (input.bitPattern & 0xFFFF == 0x8000 && low & 0x1_0000 != 0)
                let expected = UInt16((UInt64(low) + (isUp ? 0x1_0000 : 0)) >> 16)
                XCTAssertEqual(code, expected, "\(name): \(input)")
            }
        }
    }

    // MARK: - Definitions

    private static func e4m3(_ code: UInt8) -> Double {
        let sign = code & 0x80 == 0 ? 1.0 : -1.0
        let (exponent, fraction) = (Int(code >> 3) & 15, Double(code & 7))
        if code & 0x7F == 0x7F { return .nan }
        return sign * (exponent == 0 ? fraction * 0x1p-9 : scalbn(1 + fraction / 8, exponent - 7))
    }

    private static func binary16(_ code: UInt16) -> Double {
        let sign = code & 0x8000 == 0 ? 1.0 : -1.0
        let (exponent, fraction) = (Int(code >> 10) & 31, Double(code & 1023))
        if exponent == 31 { return fraction == 0 ? sign * .infinity : .nan }
        return sign * (exponent == 0 ? fraction * 0x1p-24 : scalbn(1 + fraction / 1024, exponent - 15))
    }

    /// The code nearest to a number by trying them all; of two equally near the even one.
    private static func nearest(_ value: Float) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        if value.isNaN { return sign | 0x7F }
        let magnitude = Double(min(value.magnitude, 448))
        let best = (UInt8(0)..<0x7F).min { a, b in
            let (x, y) = (abs(e4m3(a) - magnitude), abs(e4m3(b) - magnitude))
            return x < y || (x == y && a % 2 == 0 && b % 2 != 0)
        }
        return sign | (best ?? 0)
    }
}

import CKernels
import Foundation
import XCTest

/// What the contract promises for unusual input: extreme arguments, NaN, aliasing, long and unaligned rows.
final class EdgeKernelTests: XCTestCase {
    func testRoundingEveryBFloat16ToE4M3() throws {
        let codes = (0..<65536).map { UInt16($0) }
        let inputs = codes.map { Float(bitPattern: UInt32($0) << 16) }
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let found = try guarded(65536, filledWith: UInt8(0x55), name) {
                table.narrow_e4m3(65536, inputs, $0)
            }
            for (input, code) in zip(inputs, found) where code != Self.e4m3Code(input) {
                XCTFail("\(name): \(input) gives \(code), not \(Self.e4m3Code(input))")
            }
        }
    }

    func testLongRowsAgainstDouble() throws {
        let (rows, stride) = (5, 1003)
        var numbers = Numbers(seed: 11)
        let weights = numbers.array(rows * stride + 1)
        let x = numbers.array(1001)
        for table in KernelTables.supported {
            for columns in [7, 16, 31, 63, 127, 128, 1000] {
                let context = "\(KernelTables.name(of: table)) \(columns) columns"
                let found = try guarded(rows, filledWith: Float.nan, context) { y in
                    weights.withUnsafeBufferPointer { w in
                        x.withUnsafeBufferPointer { x in
                            // One float off the start: no alignment is needed.
                            let (w, x) = (w.baseAddress.map { $0 + 1 }, x.baseAddress.map { $0 + 1 })
                            table.gemv_f32(rows, columns, stride, w, x, y)
                        }
                    }
                }
                for row in 0..<rows {
                    let products = (0..<columns).map {
                        Double(weights[1 + row * stride + $0]) * Double(x[1 + $0])
                    }
                    let bound = products.reduce(0) { $0 + abs($1) } * Double(columns) * 0x1p-24
                    XCTAssertEqual(Double(found[row]), products.reduce(0, +), accuracy: bound, context)
                }
            }
        }
    }

    /// A NaN code behind the last column of each row must not be read as part of it; one inside must show.
    func testMatrixVectorWithNaNCodes() throws {
        let stride = 40
        let x = [Float](repeating: 1, count: stride)
        for table in KernelTables.supported {
            for columns in [1, 5, 16, 31, 33] {
                let context = "\(KernelTables.name(of: table)) \(columns) columns"
                var codes = (0..<5 * stride).map { $0 % stride < columns ? UInt8(0x38) : 0x7F }
                let clean = try guarded(5, filledWith: Float.nan, context) {
                    table.gemv_e4m3(5, columns, stride, codes, [1], x, $0)
                }
                XCTAssertEqual(clean, [Float](repeating: Float(columns), count: 5), context)
                codes[3 * stride + columns - 1] = 0xFF
                let broken = try guarded(5, filledWith: Float(0), context) {
                    table.gemv_e4m3(5, columns, stride, codes, [1], x, $0)
                }
                XCTAssertEqual(broken.map(\.isNaN), [false, false, false, true, false], context)
            }
        }
    }

    func testExponentialOfExtremes() throws {
        let inputs: [Float] = [88.72, 88.73, 100, .infinity, -104, -1000, -.infinity, .nan]
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let found = try guarded(8, filledWith: Float(-7), name) { _ = table.exp_sum(8, 1, 0, inputs, $0) }
            XCTAssertEqual(Double(found[0]), exp(Double(inputs[0])), accuracy: exp(88.72) * 2.4e-7, name)
            XCTAssertEqual(Array(found[1...6]), [.infinity, .infinity, .infinity, 0, 0, 0], name)
            XCTAssertTrue(found[7].isNaN, name)
            // The maximum of a row that sees nothing is -infinity.
            let hidden = [Float](repeating: -.infinity, count: 21)
            XCTAssertEqual(table.max_f32(21, hidden), -.infinity, name)
            let zeros = try guarded(21, filledWith: Float.nan, name) {
                XCTAssertEqual(table.exp_sum(21, 1, -.infinity, hidden, $0), 0, name)
            }
            XCTAssertEqual(zeros, [Float](repeating: 0, count: 21), name)
        }
    }

    func testResultsInPlace() throws {
        for table in KernelTables.supported {
            for count in [1, 7, 16, 33, 100] {
                let context = "\(KernelTables.name(of: table)) \(count)"
                var numbers = Numbers(seed: UInt64(count + 40))
                let (x, up) = (numbers.array(count), numbers.array(count))
                let apart = try guarded(count, filledWith: Float.nan, context) {
                    _ = table.exp_sum(count, 3, 1, x, $0)
                }
                let inPlace = try guarded(count, filledWith: Float.nan, context) {
                    $0.update(from: x, count: count)
                    _ = table.exp_sum(count, 3, 1, $0, $0)
                }
                XCTAssertEqual(inPlace, apart, context)
                let product = try guarded(count, filledWith: Float.nan, context) {
                    table.silu_multiply(count, x, up, $0)
                }
                let overGate = try guarded(count, filledWith: Float.nan, context) {
                    $0.update(from: x, count: count)
                    table.silu_multiply(count, $0, up, $0)
                }
                let overUp = try guarded(count, filledWith: Float.nan, context) {
                    $0.update(from: up, count: count)
                    table.silu_multiply(count, x, $0, $0)
                }
                XCTAssertEqual(overGate, product, context)
                XCTAssertEqual(overUp, product, context)
            }
        }
    }

    /// exp(gate) far below the float range times an `up` near its top, signed zeros, infinity and NaN.
    func testSiluOfExtremes() throws {
        let gates: [Float] = [-80, -100, -130, -160, -200, -1e30, -.infinity, 200, 1e30, 0, -0.0]
        let ups = [Float](repeating: 3e38, count: gates.count).enumerated().map { $0 < 7 ? $1 : 2 }
        for table in KernelTables.supported {
            let name = KernelTables.name(of: table)
            let found = try guarded(gates.count, filledWith: Float.nan, name) {
                table.silu_multiply(gates.count, gates, ups, $0)
            }
            for index in 0..<gates.count {
                let gate = Double(gates[index])
                let exact = gate == -.infinity ? 0 : gate / (1 + exp(-gate)) * Double(ups[index])
                XCTAssertEqual(
                    Double(found[index]),
                    exact,
                    accuracy: abs(exact) * 6 * 0x1p-24 + 1e-37,
                    "\(name): \(gate)"
                )
            }
            XCTAssertEqual(found[10].sign, .minus, "\(name): the sign of -0")
            let broken: [Float] = [.nan, -.nan, 1, -1]
            let spread = try guarded(4, filledWith: Float(0), name) {
                table.silu_multiply(4, broken, [1, 1, .nan, .nan], $0)
            }
            XCTAssertTrue(spread.allSatisfy(\.isNaN), name)
        }
    }

    // MARK: - Definition

    /// The nearest E4M3 code in `Double`: round to the multiple of the last place, ties to even.
    private static func e4m3Code(_ value: Float) -> UInt8 {
        let sign: UInt8 = value.sign == .minus ? 0x80 : 0
        guard !value.isNaN else { return sign | 0x7F }
        let magnitude = min(Double(value.magnitude), 448)
        let exponent = magnitude < 0x1p-6 ? -6 : Int(magnitude.exponent)
        // 8 ... 16 places for a normal number, 0 ... 8 for a subnormal one; both carry into the next code.
        let places = Int(scalbn(magnitude, 3 - exponent).rounded(.toNearestOrEven))
        return sign | UInt8((exponent + 6) * 8 + places)
    }
}

import CDSAOracle
import SparseAttention
import TestSupport
import XCTest

final class FormatCallTests: XCTestCase {
    func testE4M3MatchesGoldenCodes() throws {
        let golden = try Golden.numerics()
        for name in ["fp8_encode_f32", "fp8_encode_bf16"] {
            let input = try golden.floats(name + ".input")
            var codes = [UInt8](repeating: 0xAA, count: input.count)
            assertAccepted(dsa_e4m3_encode(input, Int64(input.count), &codes))
            XCTAssertEqual(codes, try golden.bytes(name + ".code"), name)
        }
        let codes = try golden.bytes("fp8_decode.code")
        var values = [Float](repeating: poison, count: codes.count)
        assertAccepted(dsa_e4m3_decode(codes, Int64(codes.count), &values))
        for (value, expected) in try zip(values, golden.floats("fp8_decode.value")) {
            XCTAssertTrue(value == expected || (value.isNaN && expected.isNaN), "\(value) for \(expected)")
        }
    }

    func testBFloat16MatchesGoldenBits() throws {
        let golden = try Golden.numerics()
        let input = try golden.floats("bf16_round.input")
        let expected = try golden.floats("bf16_round.output")
        var bits = [UInt16](repeating: 0xAAAA, count: input.count)
        assertAccepted(dsa_bf16_encode(input, Int64(input.count), &bits))
        var values = [Float](repeating: poison, count: input.count)
        assertAccepted(dsa_bf16_decode(bits, Int64(bits.count), &values))
        for (value, expected) in zip(values, expected) where !(value.isNaN && expected.isNaN) {
            XCTAssertEqual(value.bitPattern, expected.bitPattern)
        }
    }

    func testQuantizationMatchesGoldenCodesAndScales() throws {
        let golden = try Golden.numerics()
        for (type, typeName) in [(float32, "f32"), (bfloat16, "bf16")] {
            for columns in [128, 256] {
                let group = "act_quant.\(typeName).w\(columns)"
                let input = try golden.floats(group + ".input")
                let bits = bfloat16Bits(input)
                let rows = input.count / columns
                for (format, formatName) in [(plainScale, "none"), (powerOfTwo, "ue8m0")] {
                    var codes = [UInt8](repeating: 0xAA, count: input.count)
                    var scales = [Float](repeating: poison, count: rows * columns / 128)
                    let (n, m) = (Int64(rows), Int64(columns))
                    assertAccepted(
                        type == float32
                            ? dsa_act_quant(input, type, n, m, format, &codes, &scales)
                            : dsa_act_quant(bits, type, n, m, format, &codes, &scales)
                    )
                    XCTAssertEqual(codes, try golden.bytes("\(group).\(formatName).codes"), group)
                    assertSameBits(scales, try golden.floats("\(group).\(formatName).scales"), group)
                    var values = [Float](repeating: poison, count: input.count)
                    assertAccepted(dsa_act_dequant(codes, scales, n, m, &values))
                    let expected = try QuantizedRows(
                        rows: rows,
                        columns: columns,
                        codes: codes,
                        scales: scales
                    )
                    assertSameBits(values, expected.dequantized().elements, group)
                }
            }
        }
    }

    func testARaggedBlockIsQuantizedAsTheSwiftModuleDoes() throws {
        var generator = SeededGenerator(seed: 2)
        let tensor = generator.tensor([3, 200], magnitude: 5)
        let expected = try QuantizedRows(quantizing: tensor, format: .float32)
        var codes = [UInt8](repeating: 0xAA, count: 600)
        var scales = [Float](repeating: poison, count: 6)
        assertAccepted(dsa_act_quant(tensor.elements, float32, 3, 200, plainScale, &codes, &scales))
        XCTAssertEqual(codes, expected.codes)
        assertSameBits(scales, expected.scales)
    }

    func testHadamardMatchesGoldenRotations() throws {
        let golden = try Golden.numerics()
        for columns in [32, 64, 128] {
            let input = try golden.floats("hadamard.d\(columns).input")
            let rows = Int64(input.count / columns)
            var rotated = [Float](repeating: poison, count: input.count)
            assertAccepted(dsa_hadamard(input, float32, rows, Int64(columns), &rotated))
            assertClose(rotated, try golden.doubles("hadamard.d\(columns).output"), within: 2e-6)
            let expected = try Tensor(input, shape: [Int(rows), columns]).hadamardRotated()
            assertSameBits(rotated, expected.elements)
        }
    }

    func testRefusals() {
        let bad = Int(DSA_ERROR_ARGUMENT)
        let x: [Float] = [1, .nan, 3, .infinity]
        var (codes, scales, values) = (
            [UInt8](repeating: 9, count: 4), [poison], [Float](repeating: poison, count: 4)
        )
        var bits = [UInt16](repeating: 9, count: 4)
        func quant(_ x: [Float]?, _ type: Int32, _ rows: Int64, _ columns: Int64, _ format: Int32) -> Int32 {
            dsa_act_quant(x, type, rows, columns, format, &codes, &scales)
        }
        assertRefused(quant(nil, float32, 1, 4, plainScale), bad, "dsa_act_quant: x is NULL")
        assertRefused(quant(x, 3, 1, 4, plainScale), bad, "dsa_act_quant: type is 3")
        assertRefused(quant(x, float32, -1, 4, plainScale), bad, "dsa_act_quant: rows is -1")
        assertRefused(quant(x, float32, 1, 0, plainScale), bad, "dsa_act_quant: columns is 0")
        assertRefused(quant(x, float32, 1, 4, 2), bad, "dsa_act_quant: scale_format is 2")
        let finite = Int(DSA_ERROR_NON_FINITE)
        assertRefused(
            quant(x, float32, 1, 4, plainScale),
            finite,
            "dsa_act_quant: x holds a NaN or an infinity at element 1"
        )
        XCTAssertEqual(quant([1, 2, 3, 4], float32, 0, 4, plainScale), accepted)
        assertRefused(
            dsa_act_quant(x, float32, 1, 4, plainScale, nil, &scales),
            bad,
            "dsa_act_quant: codes is NULL"
        )
        assertRefused(
            dsa_act_quant(x, float32, 1, 4, plainScale, &codes, nil),
            bad,
            "dsa_act_quant: scales is NULL"
        )
        assertRefused(dsa_act_dequant(nil, x, 1, 4, &values), bad, "dsa_act_dequant: codes is NULL")
        assertRefused(dsa_act_dequant(codes, nil, 1, 4, &values), bad, "dsa_act_dequant: scales is NULL")
        assertRefused(dsa_act_dequant(codes, x, -1, 4, &values), bad, "dsa_act_dequant: rows is -1")
        assertRefused(dsa_act_dequant(codes, x, 1, 0, &values), bad, "dsa_act_dequant: columns is 0")
        assertRefused(dsa_act_dequant(codes, x, 1, 4, nil), bad, "dsa_act_dequant: x is NULL")

        assertRefused(dsa_e4m3_encode(nil, 4, &codes), bad, "dsa_e4m3_encode: x is NULL")
        assertRefused(dsa_e4m3_encode(x, 4, nil), bad, "dsa_e4m3_encode: codes is NULL")
        assertRefused(dsa_e4m3_encode(x, -1, &codes), bad, "dsa_e4m3_encode: count is -1")
        assertRefused(dsa_e4m3_encode(x, .max, &codes), bad, "dsa_e4m3_encode: x is of size")
        assertRefused(dsa_e4m3_decode(nil, 4, &values), bad, "dsa_e4m3_decode: codes is NULL")
        assertRefused(dsa_e4m3_decode(codes, 4, nil), bad, "dsa_e4m3_decode: x is NULL")
        assertRefused(dsa_e4m3_decode(codes, -1, &values), bad, "dsa_e4m3_decode: count is -1")
        assertRefused(dsa_bf16_encode(nil, 4, &bits), bad, "dsa_bf16_encode: x is NULL")
        assertRefused(dsa_bf16_encode(x, 4, nil), bad, "dsa_bf16_encode: bits is NULL")
        assertRefused(dsa_bf16_encode(x, -1, &bits), bad, "dsa_bf16_encode: count is -1")
        assertRefused(dsa_bf16_decode(nil, 4, &values), bad, "dsa_bf16_decode: bits is NULL")
        assertRefused(dsa_bf16_decode(bits, 4, nil), bad, "dsa_bf16_decode: x is NULL")
        assertRefused(dsa_bf16_decode(bits, -1, &values), bad, "dsa_bf16_decode: count is -1")

        assertRefused(dsa_hadamard(nil, float32, 1, 4, &values), bad, "dsa_hadamard: x is NULL")
        assertRefused(dsa_hadamard(x, 5, 1, 4, &values), bad, "dsa_hadamard: type is 5")
        assertRefused(dsa_hadamard(x, float32, -1, 4, &values), bad, "dsa_hadamard: rows is -1")
        assertRefused(dsa_hadamard(x, float32, 1, 0, &values), bad, "dsa_hadamard: columns is 0")
        assertRefused(dsa_hadamard(x, float32, 1, 3, &values), bad, "dsa_hadamard: columns is 3")
        assertRefused(dsa_hadamard(x, float32, 1, 4, nil), bad, "dsa_hadamard: rotated is NULL")
        XCTAssertEqual(codes, [9, 9, 9, 9], "a refused call has written")
        XCTAssertEqual(bits, [9, 9, 9, 9], "a refused call has written")
        XCTAssertEqual(values + scales, [Float](repeating: poison, count: 5), "a refused call has written")
    }
}

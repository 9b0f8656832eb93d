import Foundation
import SparseAttention
import SparseInference

/// Part A: number formats and quantization, bit for bit unless stated.
package struct NumericsCases {
    private let golden: GoldenFile

    init(_ url: URL) throws {
        self.init(try GoldenFile(url))
    }

    /// The cases of opened data.
    package init(_ golden: GoldenFile) {
        self.golden = golden
    }

    /// The cases, one for each group of tensors.
    package var all: [ConformanceCase] {
        formats + activations + weights + hadamard
    }

    private func item(_ name: String, _ run: @escaping () throws -> [Measurement]) -> ConformanceCase {
        ConformanceCase("numerics/\(name)") { .worst(try run()) }
    }

    // MARK: - Formats

    private var formats: [ConformanceCase] {
        [
            item("fp8_decode") { [golden] in
                let expected = try golden.floats("fp8_decode.value")
                let codes = try golden.codes("fp8_decode.code")
                let kernel = try QuantizedRows(
                    rows: 1,
                    columns: codes.count,
                    codes: codes,
                    scales: [Float](repeating: 1, count: tileCount(codes.count, QuantizedRows.blockColumns))
                ).widenedCodes()
                return [
                    Comparison.bitwise(codes.map { Float8E4M3(bitPattern: $0).float }, expected, as: "value"),
                    Comparison.bitwise(kernel.elements, expected, as: "kernel"),
                ]
            },
            encode("fp8_encode_bf16"),
            encode("fp8_encode_f32"),
            item("bf16_round") { [golden] in
                let input = try golden.tensor("bf16_round.input")
                let expected = try golden.floats("bf16_round.output")
                return [
                    Comparison.bitwise(input.elements.map { BFloat16($0).float }, expected, as: "value"),
                    Comparison.bitwise(input.roundedToBFloat16().elements, expected, as: "tensor"),
                    Comparison.bitwise(Kernels.roundedToBFloat16(input.elements), expected, as: "kernel"),
                ]
            },
            item("ue8m0_decode") { [golden] in
                let values = try golden.codes("ue8m0_decode.code").map { UE8M0(bitPattern: $0).float }
                return [Comparison.bitwise(values, try golden.floats("ue8m0_decode.value"))]
            },
            item("ue8m0_round_up") { [golden] in
                let rounded = try golden.floats("ue8m0_round_up.input").map { UE8M0(roundingUp: $0) }
                return [
                    Comparison.equal(
                        rounded.map(\.bitPattern),
                        try golden.codes("ue8m0_round_up.code"),
                        as: "code"
                    ),
                    Comparison.bitwise(
                        rounded.map(\.float),
                        try golden.floats("ue8m0_round_up.value"),
                        as: "value"
                    ),
                ]
            },
        ].filter { golden.hasTensors(of: $0) }
    }

    private func encode(_ name: String) -> ConformanceCase {
        item(name) { [golden] in
            let input = try golden.floats(name + ".input")
            let expected = try golden.codes(name + ".code")
            return [
                Comparison.equal(input.map { Float8E4M3($0).bitPattern }, expected, as: "code"),
                Comparison.equal(Kernels.roundedToFloat8(input), expected, as: "kernel"),
            ]
        }
    }

    // MARK: - Quantization

    private var activations: [ConformanceCase] {
        golden.groups("act_quant.", endingBefore: ".codes").map { group in
            item(group) { [golden] in
                let parts = group.split(separator: ".")
                let input = try golden.tensor(parts.dropLast().joined(separator: ".") + ".input")
                let quantized = try QuantizedRows(quantizing: input, format: Self.format(parts.last))
                return [
                    Comparison.equal(quantized.codes, try golden.codes(group + ".codes"), as: "codes"),
                    Comparison.bitwise(quantized.scales, try golden.floats(group + ".scales"), as: "scales"),
                ]
            }
        }
    }

    private var weights: [ConformanceCase] {
        let dequantized = golden.groups("weight_dequant.", endingBefore: ".output").map { group in
            item(group) { [golden] in
                let weight = try golden.weight(group)
                return [
                    Comparison.bitwise(weight.dequantized().elements, try golden.floats(group + ".output"))
                ]
            }
        }
        let linear = golden.groups("fp8_linear.", endingBefore: ".output").map { group in
            item(group) { [golden] in
                let weight = try golden.weight(group)
                let input = try golden.tensor(group + ".input")
                let format = Self.format(group.split(separator: ".").last)
                let output = try weight.apply(to: QuantizedRows(quantizing: input, format: format))
                let plain = WeightMatrix(weight.dequantized()).apply(to: input, workers: .all)
                return [
                    Comparison.close(
                        output.elements,
                        try golden.floats(group + ".output"),
                        bound: 1e-5,
                        as: "output"
                    ),
                    Comparison.close(
                        plain.elements,
                        try golden.floats(group + ".output_dequantized"),
                        bound: 1e-5,
                        as: "output_dequantized"
                    ),
                ]
            }
        }
        return dequantized + linear
    }

    private static func format(_ name: Substring?) -> ScaleFormat {
        name == "ue8m0" ? .powerOfTwo : .float32
    }

    // MARK: - Hadamard

    private var hadamard: [ConformanceCase] {
        golden.groups("hadamard.", endingBefore: ".output").map { group in
            item(group) { [golden] in
                let rotated = try golden.tensor(group + ".input").hadamardRotated()
                let rounded = try golden.tensor(group + ".input_bf16").hadamardRotated().roundedToBFloat16()
                return [
                    Comparison.absolute(
                        rotated.elements,
                        try golden.floats(group + ".output"),
                        bound: 2e-6,
                        as: "f32"
                    ),
                    // Another order of summation may move an entry by one bfloat16 unit, 2^-7 of it at most.
                    Comparison.close(
                        rounded.elements,
                        try golden.floats(group + ".output_bf16"),
                        bound: 0x1p-8,
                        as: "bf16"
                    ),
                ]
            }
        }
    }
}

extension GoldenFile {
    /// Whether the tensors a fixed case reads are in the file.
    fileprivate func hasTensors(of item: ConformanceCase) -> Bool {
        let group = item.name.split(separator: "/").last.map(String.init) ?? ""
        return file.names.contains { $0.hasPrefix(group + ".") }
    }

    fileprivate func weight(_ group: String) throws -> QuantizedWeight {
        let shape = try shape(group + ".weight")
        guard shape.count == 2 else {
            throw SparseAttentionError.dimensionMismatch(
                .rank,
                argument: group + ".weight",
                expected: 2,
                found: shape.count
            )
        }
        return try QuantizedWeight(
            rows: shape[0],
            columns: shape[1],
            codes: codes(group + ".weight"),
            scales: floats(group + ".weight_scale_inv")
        )
    }
}

extension Kernels {
    /// The kernel's bfloat16 rounding of an array.
    fileprivate static func roundedToBFloat16(_ values: [Float]) -> [Float] {
        let bits = [UInt16](unsafeUninitializedCapacity: values.count) { buffer, count in
            values.withUnsafeBufferPointer { source in
                if let start = source.baseAddress, let target = buffer.baseAddress {
                    round(start, toBFloat16: target, count: values.count)
                }
            }
            count = values.count
        }
        return bits.map { BFloat16(bitPattern: $0).float }
    }

    /// The kernel's E4M3 codes of an array.
    fileprivate static func roundedToFloat8(_ values: [Float]) -> [UInt8] {
        [UInt8](unsafeUninitializedCapacity: values.count) { buffer, count in
            values.withUnsafeBufferPointer { source in
                if let start = source.baseAddress, let target = buffer.baseAddress {
                    round(start, toFloat8: target, count: values.count)
                }
            }
            count = values.count
        }
    }
}

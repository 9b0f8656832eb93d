import Foundation
import SparseAttention

/// Part C2: the FP8 latent cache of the deployed numerics as an operator, bit for bit.
package struct RoundTripCases {
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
        golden.groups("kv_roundtrip.", endingBefore: ".output").map { group in
            ConformanceCase("deployed/\(group)") { [golden] in
                let parts = group.split(separator: ".")
                let format: ScaleFormat = parts.last == "ue8m0" ? .powerOfTwo : .float32
                let stored: StorageFormat = parts.contains("bf16") ? .bfloat16 : .float32
                let input = try golden.tensor(parts.dropLast().joined(separator: ".") + ".input")
                let output = try input.roundedThroughFloat8(format: format).rounded(to: stored)
                return .measured(Comparison.bitwise(output.elements, try golden.floats(group + ".output")))
            }
        }
    }
}

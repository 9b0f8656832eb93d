import SparseAttention
import TestSupport
import XCTest

/// Attention with probabilities and outputs rounded to bfloat16, as the deployed model computes.
final class RoundedAttentionTests: XCTestCase {
    func testDenseOutputsAreBFloat16() throws {
        for each in AttentionCase.all + AttentionCase.split {
            let (queries, keys, values) = each.tensors
            let rounded = try DenseAttention(activations: .bfloat16)
                .attend(queries, keys: keys, values: values, scale: each.scale)
            let exact = try DenseAttention().attend(queries, keys: keys, values: values, scale: each.scale)
            assertRounded(rounded, exact, "\(each)")
            try assertSameForAnyWorkers("\(each)") { workers in
                try DenseAttention(activations: .bfloat16, workers: workers)
                    .attend(queries, keys: keys, values: values, scale: each.scale).tensors
            }
        }
    }

    func testTopKOutputsAreBFloat16() throws {
        for each in SelectionCase.all {
            let (queries, rows) = each.tensors
            let selection = try each.selection()
            let rounded = try TopKAttention(valueDim: each.valueDim, activations: .bfloat16)
                .attend(queries, to: rows, at: selection, scale: each.scale)
            let exact = try TopKAttention(valueDim: each.valueDim)
                .attend(queries, to: rows, at: selection, scale: each.scale)
            assertRounded(rounded, exact, "\(each)")
        }
    }

    func testProbabilitiesAreRoundedAfterTheirSumIsKnown() throws {
        // Probabilities of 2/3 and 1/3 round to 171/256 and 171/512; the weighted sum is exact in float32.
        let result = try DenseAttention(activations: .bfloat16).attend(
            Tensor([1], shape: [1, 1, 1]),
            keys: Tensor([0.693_147_18, 0], shape: [2, 1, 1]),
            values: Tensor([1, 0, 0, 1], shape: [2, 1, 2]),
            scale: 1
        )
        XCTAssertEqual(result.output.elements, [171.0 / 256, 171.0 / 512])
    }

    func testLatentFormsStayNearFloat32() throws {
        for each in LatentCase.all {
            let exact = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for input in [nil, ScaleFormat.powerOfTwo] {
                let rounded = try LatentAttention(
                    dimensions: exact.dimensions,
                    scale: exact.scale,
                    rounding: .init(activations: .bfloat16, projectionInput: input)
                )
                for (selection, form) in [
                    (nil, .absorbed), (nil, .expanded), (try each.selection(), .absorbed),
                    (try each.selection(), .expanded),
                ] as [(TokenSelection?, LatentAttention.Form)] {
                    let expected = try exact.attend(queries, to: cache, through: .init(weight), at: selection)
                    let found = try rounded.attend(
                        queries,
                        to: cache,
                        through: .init(weight),
                        at: selection,
                        form: form
                    )
                    assertSameBits(found.output.roundedToBFloat16(), found.output, "\(form) \(each)")
                    let isCoarse = input != nil && form == .expanded
                    let bound = isCoarse ? Tolerances.float8Latents : Tolerances.roundedLatentLayer
                    assertClose(found.output, expected.output, within: bound, "\(form) \(each)")
                }
            }
        }
    }

    private func assertRounded(
        _ rounded: AttentionResult,
        _ exact: AttentionResult,
        _ message: String,
        file: StaticString = #filePath,
        line: UInt = #line
    ) {
        assertSameBits(rounded.output.roundedToBFloat16(), rounded.output, message, file: file, line: line)
        assertClose(
            rounded.output,
            exact.output,
            within: Tolerances.roundedActivations,
            message,
            file: file,
            line: line
        )
        assertClose(
            rounded.logSumExp,
            exact.logSumExp,
            within: Tolerances.sameAttention,
            message,
            file: file,
            line: line
        )
    }
}

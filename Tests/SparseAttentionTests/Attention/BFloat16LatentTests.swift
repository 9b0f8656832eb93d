import SparseAttention
import TestSupport
import XCTest

/// Latent layers whose products take bfloat16, in both forms.
final class BFloat16LatentTests: XCTestCase {
    private func layer(_ each: LatentCase, workers: Workers = .all) throws -> LatentAttention {
        let exact = try each.attention()
        return try LatentAttention(
            dimensions: exact.dimensions,
            scale: exact.scale,
            products: .bfloat16,
            workers: workers
        )
    }

    func testBothFormsStayNearFloat32() throws {
        for each in LatentCase.all + LatentCase.long {
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for selection in [nil, try each.selection()] {
                let expected = try each.attention()
                    .attend(queries, to: cache, through: .init(weight), at: selection)
                for form in LatentAttention.Form.allCases {
                    let found = try layer(each)
                        .attend(queries, to: cache, through: .init(weight), at: selection, form: form)
                    assertClose(
                        found.output,
                        expected.output,
                        within: Tolerances.roundedLatentLayer,
                        "\(form) \(each)"
                    )
                }
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in LatentCase.all {
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for form in LatentAttention.Form.allCases {
                try assertSameForAnyWorkers("\(form) \(each)") { workers in
                    try layer(each, workers: workers)
                        .attend(queries, to: cache, through: .init(weight), at: each.selection(), form: form)
                        .tensors
                }
            }
        }
    }

    func testANaNIsHiddenFromTokensThatDoNotSeeIt() throws {
        var generator = SeededGenerator(seed: 1)
        let attention = try LatentAttention(
            dimensions: .init(heads: 2, latentDim: 6, ropeDim: 2, nopeDim: 4, valueDim: 3),
            scale: 1,
            products: .bfloat16
        )
        let (queries, weight) = (generator.tensor([3, 2, 6]), generator.tensor([14, 6]))
        let (latents, ropeKeys) = (generator.tensor([9, 6]), generator.tensor([9, 2]))
        // The last token is broken; position 4 is broken and not selected.
        var results: [AttentionResult] = []
        let selection = try TokenSelection(
            positions: [0, 5, 6, 1, 7, 3, 2, 3, 8],
            queryTokens: 3,
            slots: 3
        )
        for broken in [[], [4, 8]] {
            var cache = try LatentCache(capacity: 9, latentDim: 6, ropeDim: 2)
            try cache.append(latents: latents.settingRows(broken, to: .nan), ropeKeys: ropeKeys)
            for form in LatentAttention.Form.allCases {
                results.append(
                    try attention.attend(
                        queries,
                        to: cache,
                        through: .init(weight),
                        at: selection,
                        form: form
                    )
                )
            }
        }
        for form in 0..<2 {
            // The sums that step over a hidden NaN run in another order.
            assertClose(
                try results[2 + form].output.slice(0..<2),
                try results[form].output.slice(0..<2),
                within: Tolerances.sameAttention
            )
            XCTAssertTrue(try results[2 + form].output.slice(2..<3).elements.allSatisfy(\.isNaN))
        }
    }
}

import SparseAttention
import TestSupport
import XCTest

final class LatentAttentionTests: XCTestCase {
    func testBothFormsMatchTheReference() throws {
        for each in LatentCase.all {
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            let expanded = try ExpandedSequence(each)
            for selection in [nil, try each.selection()] {
                let reference = try expanded.reference(queries, scale: attention.scale, selection: selection)
                let plain = expanded.plain(queries, scale: attention.scale, selection: selection)
                for form in LatentAttention.Form.allCases {
                    let result = try attention.attend(
                        queries,
                        to: cache,
                        through: .init(weight),
                        at: selection,
                        form: form
                    )
                    let message = "\(form) \(selection == nil ? "dense" : "sparse") \(each)"
                    switch form {
                    case .expanded:
                        assertAccurate(result, plain: plain, reference: reference, message)
                    case .absorbed:
                        // Another order of the same sums, which a loop over expanded keys does not bound.
                        assertSame(result, reference, message)
                    }
                }
            }
        }
    }

    func testFormsAgree() throws {
        for each in LatentCase.all + LatentCase.long {
            let attention = try each.attention()
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for selection in [nil, try each.selection()] {
                let (absorbed, expanded, chosen) = (
                    try attention.attend(
                        queries,
                        to: cache,
                        through: .init(weight),
                        at: selection,
                        form: .absorbed
                    ),
                    try attention.attend(
                        queries,
                        to: cache,
                        through: .init(weight),
                        at: selection,
                        form: .expanded
                    ),
                    try attention.attend(queries, to: cache, through: .init(weight), at: selection)
                )
                assertSame(expanded, absorbed, "\(each)")
                assertSame(chosen, absorbed, "\(each)")
            }
        }
    }

    func testThreadsDoNotChangeBits() throws {
        for each in LatentCase.all + LatentCase.long {
            let (queries, latents, ropeKeys, weight) = each.tensors
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for (selection, form) in [
                (nil, .absorbed), (nil, .expanded), (try each.selection(), .absorbed),
                (try each.selection(), .expanded),
            ] as [(TokenSelection?, LatentAttention.Form)] {
                try assertSameForAnyWorkers("\(form) \(each)") { workers in
                    try each.attention(workers: workers)
                        .attend(queries, to: cache, through: .init(weight), at: selection, form: form).tensors
                }
            }
        }
    }

    func testABFloat16CacheRoundsItsRows() throws {
        for each in LatentCase.all where each.format == .bfloat16 {
            let (queries, latents, ropeKeys, weight) = each.tensors
            let rounded = try each.cache(
                latents: latents.roundedToBFloat16(),
                ropeKeys: ropeKeys.roundedToBFloat16()
            )
            var exact = try LatentCache(
                capacity: each.keyTokens,
                latentDim: each.sizes[1],
                ropeDim: each.sizes[2]
            )
            try exact.append(latents: latents.roundedToBFloat16(), ropeKeys: ropeKeys.roundedToBFloat16())
            let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
            for form in LatentAttention.Form.allCases {
                let attention = try each.attention()
                let result = try attention.attend(queries, to: cache, through: .init(weight), form: form)
                let expected = try attention.attend(queries, to: exact, through: .init(weight), form: form)
                let again = try attention.attend(queries, to: rounded, through: .init(weight), form: form)
                for (a, b) in zip(result.tensors, again.tensors) { assertSameBits(a, b, "\(form)") }
                assertSame(result, expected, "\(form)")
            }
        }
    }

    func testAStoredProjectionIsItsNumbers() throws {
        let each = LatentCase.all[3]
        let (queries, latents, ropeKeys, weight) = each.tensors
        let rounded = weight.roundedToBFloat16()
        let bits = rounded.elements.map { BFloat16($0).bitPattern }
        let storage = AlignedBuffer(byteCount: 2 * bits.count, poisoned: true)
        bits.withUnsafeBytes {
            UnsafeMutableRawBufferPointer(start: storage.base, count: storage.byteCount).copyBytes(from: $0)
        }
        let stored = WeightMatrix(
            rows: weight.shape[0],
            columns: weight.shape[1],
            format: .bfloat16,
            base: UnsafeRawPointer(storage.base),
            owner: storage
        )
        let cache = try each.cache(latents: latents, ropeKeys: ropeKeys)
        for form in LatentAttention.Form.allCases {
            let attention = try each.attention()
            assertSame(
                try attention.attend(queries, to: cache, through: .init(stored), form: form),
                try attention.attend(queries, to: cache, through: .init(rounded), form: form)
            )
        }
    }
}

// MARK: - Cost

extension LatentAttentionTests {
    func testOperations() throws {
        let sizes = try LatentAttention.Dimensions(
            heads: 2,
            latentDim: 5,
            ropeDim: 2,
            nopeDim: 3,
            valueDim: 4
        )
        XCTAssertEqual([sizes.queryDim, sizes.rowDim, sizes.projectionRows], [5, 7, 7])
        let projection = 2.0 * 2 * 5 * 7
        XCTAssertEqual(
            sizes.operations(.absorbed, queryTokens: 1, keyTokens: 10, slots: nil),
            10 * 2 * 2 * 12 + projection
        )
        XCTAssertEqual(
            sizes.operations(.absorbed, queryTokens: 1, keyTokens: 10, slots: 4),
            4 * 2 * 2 * 12 + projection
        )
        XCTAssertEqual(
            sizes.operations(.expanded, queryTokens: 3, keyTokens: 10, slots: 4),
            3 * 9 * 2 * 2 * 9 + 10 * projection
        )
    }

    func testDecodingIsAbsorbedAndPrefillExpanded() throws {
        let sizes = try LatentAttention.Dimensions(
            heads: 128,
            latentDim: 512,
            ropeDim: 64,
            nopeDim: 128,
            valueDim: 128
        )
        let attention = try LatentAttention(dimensions: sizes, scale: 1)
        XCTAssertEqual(attention.cheapestForm(queryTokens: 1, keyTokens: 4_096, slots: nil), .absorbed)
        XCTAssertEqual(attention.cheapestForm(queryTokens: 1, keyTokens: 4_096, slots: 2_048), .absorbed)
        XCTAssertEqual(attention.cheapestForm(queryTokens: 4_096, keyTokens: 4_096, slots: nil), .expanded)
        // Fewer operations expanded in both; in the second, hiding costs more than it saves.
        XCTAssertEqual(attention.cheapestForm(queryTokens: 4_096, keyTokens: 4_096, slots: 2_048), .expanded)
        XCTAssertEqual(attention.cheapestForm(queryTokens: 4_096, keyTokens: 8_192, slots: 2_048), .absorbed)
        XCTAssertEqual(
            attention.cheapestForm(queryTokens: 4_096, keyTokens: 131_072, slots: 2_048),
            .absorbed
        )
    }
}

// MARK: - Reference

/// Every head's keys and values, formed in `Double` and rounded once.
private struct ExpandedSequence {
    let keys: Tensor  // [keyTokens, heads, nopeDim + ropeDim]
    let values: Tensor  // [keyTokens, heads, valueDim]

    init(_ each: LatentCase) throws {
        let all = each.tensors
        let isRounded = each.format == .bfloat16
        let latents = isRounded ? all.latents.roundedToBFloat16() : all.latents
        let ropeKeys = (isRounded ? all.ropeKeys.roundedToBFloat16() : all.ropeKeys).rowArrays
        let (heads, nopeDim, valueDim) = (each.sizes[0], each.sizes[3], each.sizes[4])
        let products = PlainLoops.exactProduct(
            latents.elements,
            transposed: all.weight.elements,
            depth: each.sizes[1]
        ).map(Float.init)
        var (keys, values): ([Float], [Float]) = ([], [])
        for token in 0..<each.keyTokens {
            for head in 0..<heads {
                let start = (token * heads + head) * (nopeDim + valueDim)
                keys += products[start..<start + nopeDim] + ropeKeys[token]
                values += products[start + nopeDim..<start + nopeDim + valueDim]
            }
        }
        self.keys = try Tensor(keys, shape: [each.keyTokens, heads, nopeDim + each.sizes[2]])
        self.values = try Tensor(values, shape: [each.keyTokens, heads, valueDim])
    }

    func reference(_ queries: Tensor, scale: Float, selection: TokenSelection?) throws -> AttentionResult {
        let sets = selection.map { $0.sets.map(Set.init) }
        return try DenseAttention.reference(queries, keys: keys, values: values, scale: scale) { query, key in
            sets?[query].contains(Int32(key)) ?? true
        }
    }

    func plain(
        _ queries: Tensor,
        scale: Float,
        selection: TokenSelection?
    ) -> (output: [Float], logSumExp: [Float]) {
        PlainLoops.attention(
            queries,
            keys: keys,
            values: values,
            valueDim: values.shape[2],
            scale: scale,
            selection: selection
        )
    }
}

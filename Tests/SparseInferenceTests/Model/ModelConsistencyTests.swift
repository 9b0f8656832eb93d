import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// Ways to run the same tokens that have to give the same logits.
final class ModelConsistencyTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)

    func testLogitsAreFiniteAndDependOnTheSeed() throws {
        let logits = try TinyCheckpoint(seed: 1).model().allLogits(tokens)
        XCTAssertEqual(logits.shape, [40, 64])
        assertFinite(logits)
        assertSameBits(try TinyCheckpoint(seed: 1).model().allLogits(tokens), logits)
        XCTAssertNotEqual(try TinyCheckpoint(seed: 2).model().allLogits(tokens).elements, logits.elements)
    }

    func testPrefillEqualsDecodes() throws {
        let model = try TinyCheckpoint().model()
        let prefill = try model.allLogits(tokens)
        let session = try Session(model, capacity: tokens.count)
        for (position, token) in tokens.enumerated() {
            let logits = try session.extend(by: [token])
            XCTAssertEqual(session.count, position + 1)
            let expected = try prefill.slice(position..<position + 1).reshaped([64])
            assertClose(logits, expected, within: Tolerances.sameModel, "position \(position)")
        }
    }

    func testChunksAgree() throws {
        let tokens = TinyCheckpoint.tokens(70)
        for attention in AttentionMode.allCases {
            let model = try TinyCheckpoint().model()
            let options = ForwardOptions(attention: attention)
            let whole = try model.allLogits(tokens, options, chunk: tokens.count)
            for chunk in [1, 3, 7, 64, 256, Int.max] {
                let logits = try model.allLogits(tokens, options, chunk: chunk)
                assertClose(logits, whole, within: Tolerances.sameModel, "\(attention), chunks of \(chunk)")
            }
        }
    }

    func testExtendReturnsTheLastRow() throws {
        let model = try TinyCheckpoint().model()
        for chunk in [1, 7, 64] {
            let all = try model.allLogits(tokens, chunk: chunk)
            let last = try Session(model, capacity: 64).extend(by: tokens, chunk: chunk)
            let expected = try all.slice(39..<40).reshaped([64])
            // One row of the output layer may take another path than several.
            assertClose(last, expected, within: Tolerances.sameModel, "chunks of \(chunk)")
        }
    }

    func testLaterTokensNeverChangeEarlierRows() throws {
        let model = try TinyCheckpoint().model()
        let (short, long) = (Array(tokens.prefix(24)), tokens)
        let expected = try model.allLogits(short, chunk: 8)
        // The same chunks, so the same work: not one bit may change.
        let found = try model.allLogits(long, chunk: 8).slice(0..<24)
        assertSameBits(found, expected, "more chunks")
        // Within a chunk, other tokens may share an expert and so change the order of a sum.
        var changed = tokens
        for index in 24..<40 { changed[index] = (changed[index] + 31) % 64 }
        let (first, second) = (try model.allLogits(tokens), try model.allLogits(changed))
        assertClose(
            try second.slice(0..<24),
            try first.slice(0..<24),
            within: Tolerances.sameModel,
            "one chunk"
        )
        let (left, right) = (try first.slice(24..<40), try second.slice(24..<40))
        XCTAssertGreaterThan(Comparison(left.elements, with: right.elements.map(Double.init)).relativeL2, 0.1)
    }

    func testFormsAgree() throws {
        for attention in AttentionMode.allCases {
            for chunk in [1, 7, 64] {
                let model = try TinyCheckpoint().model()
                let absorbed = ForwardOptions(attention: attention, form: .absorbed)
                let expanded = ForwardOptions(attention: attention, form: .expanded)
                assertClose(
                    try model.allLogits(tokens, absorbed, chunk: chunk),
                    try model.allLogits(tokens, expanded, chunk: chunk),
                    within: Tolerances.sameModel,
                    "\(attention), chunks of \(chunk)"
                )
            }
        }
    }

    func testThreadsDoNotChangeABit() throws {
        // Wide enough for several tiles in the output layer, and more heads than threads.
        let folder = try TinyCheckpoint(
            .deepseekV32,
            [
                "vocab_size": "1100", "num_attention_heads": "5", "num_key_value_heads": "5",
                "index_n_heads": "5",
            ]
        ).write()
        for chunk in [1, 40] {
            try assertSameForAnyWorkers("chunks of \(chunk)") { workers in
                let model = try LanguageModel(contentsOf: folder.url, workers: workers)
                return [try model.allLogits(tokens, chunk: chunk)]
            }
        }
    }

    func testNarrowCachesAreClose() throws {
        // Without experts and selections, whose choices a rounding may turn over.
        let model = try TinyCheckpoint(.deepseekV32, ["first_k_dense_replace": "4"]).model()
        let dense = ForwardOptions(attention: .dense)
        let exact = try model.allLogits(tokens, dense)
        let cases = [(CacheFormat.bfloat16, Tolerances.bfloat16Cache), (.float8, Tolerances.float8Cache)]
        for (format, bound) in cases {
            let rounded = try model.allLogits(tokens, dense, cacheFormat: format)
            assertClose(rounded, exact, within: bound, "\(format)")
            XCTAssertNotEqual(rounded.elements, exact.elements, "\(format)")
            assertFinite(try TinyCheckpoint().model().allLogits(tokens, cacheFormat: format), "\(format)")
        }
    }

    func testExpertsAreRecordedForLayersThatHaveThem() throws {
        let log = StageLog()
        let model = try TinyCheckpoint().model()
        _ = try model.allLogits(tokens, ForwardOptions(probe: log.probe))
        XCTAssertEqual(log.layers(.experts), [1, 2, 3])
        XCTAssertEqual(log.layers(.hidden), [0, 1, 2, 3])
        for layer in 1...3 {
            let experts = try XCTUnwrap(log.experts(layer: layer))
            XCTAssertTrue(experts.allSatisfy { $0.count == 3 && $0 == $0.sorted() }, "layer \(layer)")
        }
    }
}

import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// FP8 weights, and the numerics that models are deployed with.
final class PrecisionTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)

    private static let deployed: [LanguageModel.Precision] = [
        .deployed(activations: .float32), .deployed(activations: .bfloat16), .legacy(activations: .float32),
        .legacy(activations: .bfloat16),
    ]

    private func checkpoint(_ changes: [String: String] = [:]) throws -> TinyCheckpoint {
        try TinyCheckpoint.quantizable(changes).throughFloat8().codes
    }

    func testCodesEqualTheNumbersTheyStandFor() throws {
        let (codes, numbers) = try TinyCheckpoint.quantizable().throughFloat8()
        XCTAssertTrue(codes.weights.contains { $0.shape == [2, 1] })
        XCTAssertTrue(codes.weights.contains { $0.shape == [1, 2] })
        for chunk in [1, 40] {
            assertClose(
                try codes.model().allLogits(tokens, chunk: chunk),
                try numbers.model().allLogits(tokens, chunk: chunk),
                within: Tolerances.sameModel,
                "chunks of \(chunk)"
            )
        }
    }

    func testEveryPrecisionHasNumbersOfItsOwn() throws {
        let checkpoint = try checkpoint()
        // Token by token: a chunk quantizes latents for the expansion whether they are cached so or not.
        let all = try (Self.deployed + [.float32]).map {
            try checkpoint.model($0).allLogits(tokens, chunk: 1)
        }
        for (index, logits) in all.enumerated() {
            assertFinite(logits)
            for other in all[..<index] { XCTAssertNotEqual(logits.elements, other.elements) }
        }
    }

    func testSelectingEverythingIsDense() throws {
        let checkpoint = try checkpoint(["index_topk": "40"])
        for precision in Self.deployed {
            let model = try checkpoint.model(precision)
            assertSameBits(
                try model.allLogits(tokens),
                try model.allLogits(tokens, ForwardOptions(attention: .dense)),
                "\(precision)"
            )
        }
    }

    func testLaterTokensNeverChangeEarlierRows() throws {
        for precision in Self.deployed {
            let model = try checkpoint().model(precision)
            let short = try model.allLogits(Array(tokens.prefix(24)), chunk: 8)
            assertSameBits(try model.allLogits(tokens, chunk: 8).slice(0..<24), short, "\(precision)")
        }
    }

    func testThreadsDoNotChangeABit() throws {
        let checkpoint = try checkpoint()
        for precision in Self.deployed {
            for chunk in [1, 40] {
                try assertSameForAnyWorkers("\(precision), chunks of \(chunk)") { workers in
                    [try checkpoint.model(precision, workers: workers).allLogits(tokens, chunk: chunk)]
                }
            }
        }
    }

    func testTruncateThenExtendEqualsAFreshSequence() throws {
        for precision in Self.deployed {
            let model = try checkpoint().model(precision)
            let session = try Session(model, capacity: 40, cacheFormat: .bfloat16)
            let fresh = try Session(model, capacity: 40, cacheFormat: .bfloat16)
            for each in [session, fresh] { _ = try each.extend(by: Array(tokens[..<10])) }
            _ = try session.extend(by: Array(tokens[20...]))
            try session.truncate(to: 10)
            for next in [10..<11, 11..<20] {
                let (found, expected) = (
                    try session.extend(by: Array(tokens[next])), try fresh.extend(by: Array(tokens[next]))
                )
                assertSameBits(found, expected, "\(precision)")
            }
        }
    }

    func testAnIndexerThatCannotBeRotatedIsRefused() throws {
        let checkpoint = try checkpoint(["index_head_dim": "12"])
        assertThrows(
            .invalidSetting(
                name: "index head dim",
                found: "12",
                expected: "a power of two of at most 128 for FP8 scores"
            )
        ) { _ = try checkpoint.model(.deployed(activations: .bfloat16)) }
        XCTAssertNoThrow(try checkpoint.model())
    }

    /// Every tensor in turn holds a NaN: an error or finite logits, never a trap.
    func testNoDamageTraps() throws {
        let sizes = [
            "num_hidden_layers": "2", "n_routed_experts": "2", "n_group": "1", "topk_group": "1",
            "num_experts_per_tok": "2",
        ]
        let checkpoint = try checkpoint(sizes)
        var refusals = 0
        for name in checkpoint.weights.map(\.name) {
            let model = try checkpoint.changing(name) { $0.values[0] = .nan }.model(Self.deployed[1])
            let session = try Session(model, capacity: 40)
            do {
                _ = try session.extend(by: Array(tokens[..<12]))
            } catch SparseAttentionError.nonFinite {
                refusals += 1
                XCTAssertEqual(session.count, 0, name)
            }
        }
        XCTAssertGreaterThan(refusals, 10)
    }
}

import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// Layers of GLM models that reuse the selection of a layer before them.
final class SharedSelectionTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)

    private func checkpoint(_ pattern: String) throws -> TinyCheckpoint {
        try TinyCheckpoint(.glmMoeDSA, ["index_topk_pattern": "\"\(pattern)\""])
    }

    func testSharedLayersSelectNothingAndKeepNoKeys() throws {
        let cases: [(pattern: String, full: [Int])] = [
            ("FFFF", [0, 1, 2, 3]), ("FSFS", [0, 2]), ("FSSS", [0]), ("FFSS", [0, 1]),
        ]
        for (pattern, full) in cases {
            let model = try checkpoint(pattern).model()
            let log = StageLog()
            assertFinite(try model.allLogits(tokens, ForwardOptions(probe: log.probe)))
            for stage in [Stage.selection, .indexKeys, .indexQueries, .headWeights] {
                XCTAssertEqual(log.layers(stage), full, "\(pattern), \(stage)")
            }
            XCTAssertEqual(log.layers(.attentionOutput), [0, 1, 2, 3], pattern)
            for (format, width) in [(CacheFormat.float32, 4), (.bfloat16, 2)] {
                let session = try Session(model, capacity: 1, cacheFormat: format)
                XCTAssertEqual(session.bytesPerToken, (4 * (8 + 4) + full.count * 8) * width, pattern)
            }
        }
    }

    /// Layer 0 adds nothing to the residual stream and layer 1 begins with copies of its weights, so both
    /// would select the same tokens: reusing the selection has to give the same logits as making it again.
    func testSharedLayersReuseThePreviousSelection() throws {
        var full = try checkpoint("FFFF")
        for ending in ["layers.0.self_attn.o_proj.weight", "layers.0.mlp.down_proj.weight"] {
            full.change(ending) { $0.values = $0.values.map { _ in 0 } }
        }
        let copied = ["input_layernorm", "self_attn.q_a_", "self_attn.indexer."]
        let names = full.weights.map(\.name)
        for (index, name) in names.enumerated()
        where copied.contains(where: { name.contains("layers.1." + $0) }) {
            let original = name.replacing("layers.1.", with: "layers.0.")
            let source = try XCTUnwrap(names.firstIndex(of: original))
            full.weights[index].values = full.weights[source].values
        }
        var shared = try checkpoint("FSFF")
        shared.weights = full.weights.filter { !$0.name.contains("layers.1.self_attn.indexer.") }
        for chunk in [1, 7, 40] {
            assertSameBits(
                try shared.model().allLogits(tokens, chunk: chunk),
                try full.model().allLogits(tokens, chunk: chunk),
                "chunks of \(chunk)"
            )
        }
        // The selection matters in that layer: without any, the logits are others.
        let dense = try shared.model().allLogits(tokens, ForwardOptions(attention: .dense), chunk: 40)
        XCTAssertNotEqual(try shared.model().allLogits(tokens, chunk: 40).elements, dense.elements)
    }

    func testSharedLayersAreDenseInDenseMode() throws {
        let dense = ForwardOptions(attention: .dense)
        let all = try checkpoint("FSSF")
        let everything = try TinyCheckpoint(
            .glmMoeDSA,
            ["index_topk_pattern": "\"FSSF\"", "index_topk": "100"]
        )
        assertSameBits(try all.model().allLogits(tokens, dense), try everything.model().allLogits(tokens))
    }

    func testPrefillEqualsDecodes() throws {
        let model = try checkpoint("FSSF").model()
        assertClose(
            try model.allLogits(tokens, chunk: 1),
            try model.allLogits(tokens, chunk: 40),
            within: Tolerances.sameModel
        )
    }
}

import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// How weights are stored, which must not matter to what the model says.
final class WeightStorageTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(24)

    func testNarrowTypesEqualFloat32WithTheSameNumbers() throws {
        for dataType in [DataType.bfloat16, .float16] {
            let rounded = try TinyCheckpoint().changing { $0.round(to: dataType) }
            let narrow = rounded.changing { $0.dataType = dataType }
            for chunk in [1, 24] {
                assertClose(
                    try narrow.model().allLogits(tokens, chunk: chunk),
                    try rounded.model().allLogits(tokens, chunk: chunk),
                    within: Tolerances.sameModel,
                    "\(dataType), chunks of \(chunk)"
                )
            }
            // The rounding itself is seen.
            let exact = try TinyCheckpoint().model().allLogits(tokens)
            XCTAssertNotEqual(try rounded.model().allLogits(tokens).elements, exact.elements, "\(dataType)")
        }
    }

    func testTypesMayDifferFromTensorToTensor() throws {
        // As released: weights in bfloat16, the correction bias in float32.
        let rounded = try TinyCheckpoint().changing(".weight") { $0.round(to: .bfloat16) }
        let mixed = rounded.changing(".weight") { $0.dataType = .bfloat16 }
        assertClose(
            try mixed.model().allLogits(tokens),
            try rounded.model().allLogits(tokens),
            within: Tolerances.sameModel
        )
    }

    func testShardsEqualASingleFile() throws {
        let single = try TinyCheckpoint()
        let expected = try single.model().allLogits(tokens)
        for shards in [2, 3] {
            var sharded = single
            sharded.shards = shards
            assertSameBits(try sharded.model().allLogits(tokens), expected, "\(shards) shards")
        }
    }

    func testUnalignedDataIsTheSame() throws {
        for dataType in [DataType.float32, .bfloat16, .float16] {
            let aligned = try TinyCheckpoint().changing {
                $0.round(to: dataType)
                $0.dataType = dataType
            }
            let expected = try aligned.model().allLogits(tokens)
            for misalignment in [1, 2, 3] {
                var unaligned = aligned
                unaligned.misalignment = misalignment
                let logits = try unaligned.model().allLogits(tokens)
                assertSameBits(logits, expected, "\(dataType), \(misalignment) bytes off")
            }
        }
    }

    func testPredictionLayersAreLeftAlone() throws {
        let plain = try TinyCheckpoint()
        var extended = try TinyCheckpoint(.deepseekV32, ["num_nextn_predict_layers": "1"])
        var generator = SeededGenerator(seed: 3)
        // A whole layer behind the last, what only such a layer has, and one tensor of a type nothing reads.
        let layer = plain.weights.filter { $0.name.contains("layers.3.") }
        for var weight in layer {
            weight.name = weight.name.replacing("layers.3.", with: "layers.4.")
            extended.weights.append(weight)
        }
        for (name, shape) in [("eh_proj", [16, 32]), ("enorm", [16]), ("shared_head.head", [64, 16])] {
            let full = "model.layers.4.\(name).weight"
            extended.weights.append(TinyWeight(full, shape: shape, using: &generator))
        }
        extended.change("eh_proj.weight") { $0.dataType = .float8E4M3 }
        let model = try extended.model()
        XCTAssertEqual(model.configuration.predictionLayers, 1)
        assertSameBits(try model.allLogits(tokens), try plain.model().allLogits(tokens))
        XCTAssertEqual(try Session(model, capacity: 1).bytesPerToken, 4 * (8 + 4 + 8) * 4)
    }

    func testTiedEmbeddingsServeAsTheHead() throws {
        let tied = try TinyCheckpoint(.deepseekV32, ["tie_word_embeddings": "true"])
        XCTAssertFalse(tied.weights.contains { $0.name == "lm_head.weight" })
        let embedding = try XCTUnwrap(tied.weights.first { $0.name == "model.embed_tokens.weight" })
        var untied = try TinyCheckpoint()
        untied.change("lm_head.weight") { $0.values = embedding.values }
        assertSameBits(try tied.model().allLogits(tokens), try untied.model().allLogits(tokens))
        // A head that is there all the same is not used.
        var both = tied
        both.weights += try TinyCheckpoint().weights.filter { $0.name == "lm_head.weight" }
        assertSameBits(try both.model().allLogits(tokens), try tied.model().allLogits(tokens))
    }

    func testQueriesMayBeProjectedInOneStep() throws {
        let checkpoint = try TinyCheckpoint(.deepseekV3, ["q_lora_rank": "null"])
        XCTAssertTrue(checkpoint.weights.contains { $0.name.hasSuffix("layers.0.self_attn.q_proj.weight") })
        let model = try checkpoint.model()
        let log = StageLog()
        let whole = try model.allLogits(tokens, ForwardOptions(probe: log.probe))
        assertFinite(whole)
        XCTAssertEqual(log.layers(.queryLatent), [])
        assertClose(try model.allLogits(tokens, chunk: 1), whole, within: Tolerances.sameModel)
    }

    func testLayersWithoutSharedExperts() throws {
        for value in ["0", "null"] {
            let checkpoint = try TinyCheckpoint(.deepseekV32, ["n_shared_experts": value])
            XCTAssertFalse(checkpoint.weights.contains { $0.name.contains("shared_experts") })
            assertFinite(try checkpoint.model().allLogits(tokens))
        }
    }

    func testEveryOtherLayerMayBeDense() throws {
        let checkpoint = try TinyCheckpoint(
            .deepseekV32,
            ["moe_layer_freq": "2", "first_k_dense_replace": "0"]
        )
        let log = StageLog()
        assertFinite(try checkpoint.model().allLogits(tokens, ForwardOptions(probe: log.probe)))
        XCTAssertEqual(log.layers(.experts), [0, 2])
    }

    func testAModelOutlivesItsFolder() throws {
        var checkpoint = try TinyCheckpoint()
        checkpoint.shards = 2
        let folder = try checkpoint.write()
        let model = try LanguageModel(contentsOf: folder.url, workers: .one)
        assertSameBits(try model.allLogits(tokens), try checkpoint.model().allLogits(tokens))
        XCTAssertNil(model.tokenizer)
        XCTAssertEqual(model.precision, .float32)
        XCTAssertEqual(model.workers, .one)
    }
}

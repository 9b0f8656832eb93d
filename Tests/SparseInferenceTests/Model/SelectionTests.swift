import SparseAttention
import SparseInference
import TestSupport
import XCTest

/// What a model's indexers select, and what their selection does.
final class SelectionTests: XCTestCase {
    private let tokens = TinyCheckpoint.tokens(40)
    private let dense = ForwardOptions(attention: .dense)

    private func distance(_ left: Tensor, _ right: Tensor) -> Double {
        Comparison(left.elements, with: right.elements.map(Double.init)).relativeL2
    }

    func testSelectingEverythingIsDense() throws {
        for topK in [40, 41, 1000] {
            let model = try TinyCheckpoint(.deepseekV32, ["index_topk": "\(topK)"]).model()
            for chunk in [1, 7, 40] {
                assertSameBits(
                    try model.allLogits(tokens, chunk: chunk),
                    try model.allLogits(tokens, dense, chunk: chunk),
                    "top-k \(topK), chunks of \(chunk)"
                )
            }
        }
    }

    func testSelectionActsOnceTheSequenceIsLonger() throws {
        let model = try TinyCheckpoint().model()
        // Chunks end where the selection begins to leave tokens out: the first is the same work.
        let (sparse, all) = (
            try model.allLogits(tokens, chunk: 7), try model.allLogits(tokens, dense, chunk: 7)
        )
        assertSameBits(try sparse.slice(0..<7), try all.slice(0..<7))
        XCTAssertGreaterThan(distance(try sparse.slice(7..<40), try all.slice(7..<40)), 0.01)
        // In one chunk the first rows select all they see.
        let whole = (sparse: try model.allLogits(tokens), all: try model.allLogits(tokens, dense))
        assertClose(
            try whole.sparse.slice(0..<7),
            try whole.all.slice(0..<7),
            within: Tolerances.sameModel
        )
    }

    func testSelectionsHoldTopKVisibleTokens() throws {
        let log = StageLog()
        let model = try TinyCheckpoint().model()
        _ = try model.allLogits(tokens, ForwardOptions(probe: log.probe))
        XCTAssertEqual(log.layers(.selection), [0, 1, 2, 3])
        for layer in 0..<4 {
            let selection = try XCTUnwrap(log.selection(layer: layer))
            for (position, positions) in selection.enumerated() {
                let message = "layer \(layer), position \(position)"
                XCTAssertEqual(positions.count, min(position + 1, 7), message)
                XCTAssertEqual(Set(positions).count, positions.count, message)
                XCTAssertTrue(positions.allSatisfy { (0...position).contains(Int($0)) }, message)
            }
        }
    }

    func testSelectionIsThatOfTheRecordedStages() throws {
        let log = StageLog()
        let model = try TinyCheckpoint().model()
        _ = try model.allLogits(tokens, ForwardOptions(probe: log.probe))
        let indexer = try LightningIndexer(heads: 3, headDim: 8, topK: 7)
        for layer in 0..<4 {
            let selection = try indexer.select(
                queries: try XCTUnwrap(log.tensor(.indexQueries, layer: layer)),
                weights: try XCTUnwrap(log.tensor(.headWeights, layer: layer)),
                keys: try XCTUnwrap(log.tensor(.indexKeys, layer: layer)),
                from: 0
            )
            XCTAssertEqual(log.selection(layer: layer), selection.sets, "layer \(layer)")
        }
    }

    func testModesMayChangeWithinASequence() throws {
        let model = try TinyCheckpoint().model()
        let session = try Session(model, capacity: 40)
        _ = try session.extend(by: Array(tokens.prefix(20)), attention: .dense)
        let log = StageLog()
        _ = try session.extendWithAllLogits(
            by: Array(tokens.suffix(20)),
            options: ForwardOptions(attention: .sparse, probe: log.probe)
        )
        // Index keys of the dense part are there to be selected.
        let selection = try XCTUnwrap(log.selection(layer: 0))
        XCTAssertTrue(selection.contains { $0.contains { $0 < 20 } })
        XCTAssertTrue(selection.allSatisfy { $0.count == 7 })
    }

    func testAModelWithoutIndexerIsDense() throws {
        let model = try TinyCheckpoint(.deepseekV3).model()
        let log = StageLog()
        assertSameBits(
            try model.allLogits(tokens, ForwardOptions(probe: log.probe)),
            try model.allLogits(tokens, dense)
        )
        XCTAssertEqual(log.layers(.selection), [])
        XCTAssertEqual(log.layers(.indexKeys), [])
        XCTAssertEqual(try Session(model, capacity: 1).bytesPerToken, 4 * (8 + 4) * 4)
    }

    func testTheIndexerRopeLayoutActs() throws {
        var keys: [Tensor] = []
        for family in [ModelConfiguration.Family.deepseekV32, .glmMoeDSA] {
            for isInterleaved in [false, true] {
                let changes = ["indexer_rope_interleave": "\(isInterleaved)"]
                let model = try TinyCheckpoint(family, changes).model()
                let log = StageLog()
                assertFinite(try model.allLogits(tokens, ForwardOptions(probe: log.probe)))
                keys.append(try XCTUnwrap(log.tensor(.indexKeys, layer: 0)))
            }
        }
        // The first token is not turned; the others are, each layout in its own way.
        assertSameBits(try keys[0].slice(0..<1), try keys[1].slice(0..<1))
        XCTAssertGreaterThan(distance(try keys[0].slice(1..<40), try keys[1].slice(1..<40)), 0.1)
        assertSameBits(keys[2], keys[0], "half-split in both families")
        assertSameBits(keys[3], keys[1], "interleaved in both families")
        let byDefault = StageLog()
        _ = try TinyCheckpoint(.glmMoeDSA).model().allLogits(tokens, ForwardOptions(probe: byDefault.probe))
        assertSameBits(try XCTUnwrap(byDefault.tensor(.indexKeys, layer: 0)), keys[3], "GLM by default")
    }
}

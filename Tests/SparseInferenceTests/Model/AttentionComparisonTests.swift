import Foundation
import SparseAttention
import XCTest

@testable import SparseInference

final class AttentionComparisonTests: XCTestCase {
    func testWhatHeadsAttendToIsWhatTheirOutputIsMadeOf() throws {
        // A query token that sees everything: its weights give its log-sum-exp and order its selection.
        let model = try TinyCheckpoint().model()
        let tokens = TinyCheckpoint.tokens(20)
        var observed: [AttentionObserver.Observation] = []
        let observer = AttentionObserver(watches: { [3, 19].contains($0) }, observe: { observed.append($0) })
        for chunk in [1, 7, 20] {
            observed = []
            let session = try Session(model, capacity: 20)
            _ = try session.extendWithAllLogits(
                by: tokens,
                options: ForwardOptions(attention: .sparse, observer: observer),
                chunk: chunk
            )
            let places = observed.map { [$0.layer, $0.position] }
            XCTAssertEqual(Set(places), Set((0..<4).flatMap { [[$0, 3], [$0, 19]] }), "chunk \(chunk)")
            for observation in observed {
                XCTAssertEqual(observation.weights.shape.columns, observation.position + 1)
                observation.weights.withMatrix { weights in
                    for head in 0..<weights.rows {
                        let sum = (0..<weights.columns).reduce(0) { $0 + weights[head][$1] }
                        XCTAssertEqual(sum, 1, accuracy: 1e-5)
                    }
                }
                // Seven are selected once there are more.
                XCTAssertEqual(
                    observation.position == 19,
                    observation.selected?.filter { $0 >= 0 }.count == 7
                )
            }
        }
    }

    func testSharesAddUp() throws {
        let model = try TinyCheckpoint().model()
        let report = try AttentionComparison(model).run(TinyCheckpoint.tokens(60))
        XCTAssertEqual([report.length, report.k], [60, 7])
        XCTAssertEqual(report.layers.map(\.layer), [0, 1, 2, 3])
        // Of 8 … 60 visible tokens a random set of seven keeps seven shares.
        let random = (8...60).reduce(0.0) { $0 + 7 / Double($1) } / 53
        for layer in report.layers {
            XCTAssertEqual(layer.random, random, accuracy: 1e-12)
            XCTAssertGreaterThanOrEqual(layer.best, layer.selected)
            XCTAssertGreaterThanOrEqual(layer.best, layer.window)
            XCTAssertGreaterThan(layer.selected, 0)
            XCTAssertTrue(layer.heads.allSatisfy { (0...1.0001).contains($0) })
            XCTAssertEqual(layer.stretches.count, 30)
            XCTAssertNil(layer.stretches[0], "nothing has to be chosen at the beginning")
        }
        XCTAssertGreaterThan(report.whole.divergence, 0)
        XCTAssertEqual(report.stretches.map(\.start), Array(stride(from: 0, to: 60, by: 2)))
        // Where everything is selected, both sides are one.
        let short = try AttentionComparison(model).run(TinyCheckpoint.tokens(7))
        XCTAssertEqual(short.whole.divergence, 0)
        XCTAssertEqual(short.whole.agreement, 1)
        XCTAssertEqual(short.whole.densePerplexity, short.whole.sparsePerplexity)
        XCTAssertEqual(short.layers, [])
        XCTAssertThrowsError(try AttentionComparison(model).run([1]))
    }
}

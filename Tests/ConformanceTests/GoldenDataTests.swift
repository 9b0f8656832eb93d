import Conformance
import Foundation
import XCTest

/// The golden data in the repository, part by part.
final class GoldenDataTests: XCTestCase {
    private var folder: URL {
        get throws {
            try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        }
    }

    func testNumerics() throws {
        try check("numerics/", atLeast: 25)
    }

    func testOperators() throws {
        try check("ops/", atLeast: 45)
    }

    func testTokenizer() throws {
        try check("tokenizer/", atLeast: 3)
    }

    func testHostileFiles() throws {
        try check("hostile/", atLeast: 45)
    }

    func testFloat32Checkpoint() throws {
        try check("checkpoints/tiny-v32-f32/", atLeast: 31)
    }

    func testBFloat16CheckpointWithShardsYaRNAndPredictionLayer() throws {
        try check("checkpoints/tiny-v32-bf16/", atLeast: 25)
    }

    func testDensePredecessor() throws {
        try check("checkpoints/tiny-v3-dense/", atLeast: 19)
    }

    func testGLMCheckpointWithSharedSelections() throws {
        try check("checkpoints/tiny-glm-dsa/", atLeast: 25)
    }

    func testFP8CheckpointInFloat32AndAsDeployed() throws {
        try check("checkpoints/tiny-v32-fp8/", atLeast: 57)
    }

    func testLatentsRoundedThroughFP8() throws {
        try check("deployed/", atLeast: 20)
    }

    func testTraining() throws {
        try check("training/", atLeast: 21)
    }

    /// Runs the cases under a prefix; each has to pass, and there have to be as many as the data hold.
    private func check(_ prefix: String, atLeast count: Int, line: UInt = #line) throws {
        let cases = try ConformanceFolder(folder).cases().filter { $0.name.hasPrefix(prefix) }
        XCTAssertEqual(Set(cases.map(\.name)).count, cases.count, "two cases of one name", line: line)
        XCTAssertGreaterThanOrEqual(cases.count, count, "cases are missing", line: line)
        var report = ConformanceReport()
        for item in cases {
            let row = report.run(item)
            XCTAssertEqual(row.verdict, "passed", row.line(nameWidth: 0), line: line)
        }
    }
}

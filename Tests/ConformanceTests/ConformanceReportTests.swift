import Conformance
import Foundation
import XCTest

/// The conformance kit itself: a check that cannot fail would prove nothing.
final class ConformanceReportTests: XCTestCase {
    func testVerdicts() {
        var report = ConformanceReport()
        report.run(ConformanceCase("within") { .measured(Measurement(error: 1e-6, bound: 1e-5)) })
        report.run(
            ConformanceCase("beyond") { .measured(Measurement(error: 1e-4, bound: 1e-5, place: "out[3]")) }
        )
        report.run(ConformanceCase("not a number") { .measured(Measurement(error: .nan, bound: 1e-5)) })
        report.run(ConformanceCase("throws") { throw CocoaError(.fileNoSuchFile) })
        report.run(.skipped("later", because: "not yet"))
        XCTAssertEqual(
            report.rows.map(\.verdict),
            ["passed", "failed", "failed", "failed", "skipped"]
        )
        XCTAssertEqual(report.summary, "1 passed, 3 failed, 1 skipped")
    }

    func testTheWorstMeasurementDecides() {
        let fine = Measurement(error: 0.9, bound: 1)
        let wrong = Measurement(error: 1, bound: 0)
        let broken = Measurement(error: .nan, bound: 1)
        XCTAssertEqual(fine.worse(wrong), wrong)
        XCTAssertEqual(wrong.worse(fine), wrong)
        XCTAssertFalse(fine.worse(broken).isPassed)
        XCTAssertFalse(broken.worse(fine).isPassed)
    }

    func testJSONHoldsEveryCase() throws {
        var report = ConformanceReport()
        report.run(
            ConformanceCase("beyond") { .measured(Measurement(error: .infinity, bound: 1, place: "x")) }
        )
        report.run(.skipped("later", because: "not yet"))
        let object = try JSONSerialization.jsonObject(with: report.json()) as? [String: Any]
        XCTAssertEqual(object?["failed"] as? Int, 1)
        XCTAssertEqual((object?["cases"] as? [[String: Any]])?.count, 2)
    }

    func testDamagedGoldenDataFail() throws {
        let source = try XCTUnwrap(Bundle.module.url(forResource: "Fixtures", withExtension: nil))
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try FileManager.default.createDirectory(
            at: folder.appendingPathComponent("numerics"),
            withIntermediateDirectories: true
        )
        var bytes = try Data(contentsOf: source.appendingPathComponent("numerics/numerics.safetensors"))
        // The last tensor's last byte: a code, which now is another one.
        bytes[bytes.count - 1] ^= 1
        try bytes.write(to: folder.appendingPathComponent("numerics/numerics.safetensors"))
        var report = ConformanceReport()
        for item in try ConformanceFolder(folder).cases() {
            report.run(item)
        }
        XCTAssertEqual(report.count("failed"), 1, report.summary)
    }

    func testAnEmptyFolderHasNoCases() throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        XCTAssertTrue(try ConformanceFolder(folder).cases().isEmpty)
    }
}

import Foundation
import XCTest

/// What `dsa` tells about itself, and with which exit status it ends.
final class DiagnosticsTests: XCTestCase {
    private let generate = ["generate", "--model", "demo", "--prompt", "Ada", "--max-tokens", "1"]

    func testDiagnosticsAreQuietUnlessAskedFor() throws {
        let dsa = try CommandLine()
        let quiet = try dsa.run(generate)
        XCTAssertEqual(quiet.status, 0, quiet.output)
        XCTAssertFalse(quiet.output.contains("kernels"), quiet.output)

        let informed = try dsa.run(generate, environment: ["DSA_LOG": "info"])
        XCTAssertEqual(informed.status, 0, informed.output)
        for part in [" info dsa", "simd=", "openblas=", "model opened", "precision=float32", "took="] {
            XCTAssertTrue(informed.output.contains(part), "\(part): \(informed.output)")
        }
        XCTAssertFalse(informed.output.contains("peak memory"), informed.output)
        let detailed = try dsa.run(generate, environment: ["DSA_LOG": "debug"])
        XCTAssertTrue(detailed.output.contains("peak memory"), detailed.output)
    }

    func testExitStatus() throws {
        let dsa = try CommandLine()
        for (arguments, environment, status, message) in [
            (["--help"], [:], 0, "SUBCOMMANDS"),
            (["conformance", ".", "--mistake", "list"], [:], 0, "("),
            (["generate", "--model", "/nowhere", "--prompt", "x"], [:], 1, "is not there"),
            (["inspect", "--model", "demo"], ["DSA_KERNELS": "fast"], 1, "DSA_KERNELS is fast"),
            (["inspect", "--model", "demo"], ["DSA_LOG": "loud"], 1, "DSA_LOG is loud"),
            (["generate", "--model", "demo"], [:], 64, "Give one of"),
            (["inspect", "--model", "demo", "--colour"], [:], 64, "--colour"),
        ] as [([String], [String: String], Int32, String)] {
            let result = try dsa.run(arguments, environment: environment)
            XCTAssertEqual(result.status, status, "\(arguments): \(result.output)")
            XCTAssertTrue(result.output.contains(message), "\(arguments): \(result.output)")
        }
    }

    func testCompletionScriptsNameEveryCommand() throws {
        let dsa = try CommandLine()
        for shell in ["bash", "zsh", "fish"] {
            let script = try dsa.run(["--generate-completion-script", shell])
            XCTAssertEqual(script.status, 0, script.output)
            for command in ["demo", "chat", "generate", "conformance", "train", "cost"] {
                XCTAssertTrue(script.output.contains(command), "\(shell) \(command)")
            }
        }
    }
}

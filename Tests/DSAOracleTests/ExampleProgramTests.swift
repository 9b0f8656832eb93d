import Foundation
import TestSupport
import XCTest

/// The example programs, run with the dynamic library that was built beside the tests.
final class ExampleProgramTests: XCTestCase {
    func testPythonExample() throws {
        guard let python = Self.find("python3") else {
            throw XCTSkip("no python3 on this machine: the ctypes example is not run")
        }
        let (status, output) = try run(python, [example("oracle.py"), library().path])
        XCTAssertEqual(status, 0, output)
        XCTAssertTrue(output.contains("packed lse: 4 numbers agree"), "the example ended early: \(output)")
    }

    func testReadmesPythonExample() throws {
        guard let python = Self.find("python3") else {
            throw XCTSkip("no python3 on this machine: the README's example is not run")
        }
        let readme = Markdown.packageFolder.appendingPathComponent("README.md")
        let shown = try XCTUnwrap(Markdown(contentsOf: readme).blocks("python").first)
        let path = try library().path
        let program = shown.replacingOccurrences(of: ".build/release/libDSAOracle.so", with: path)
        XCTAssertNotEqual(program, shown)
        let (status, output) = try run(python, ["-c", program])
        XCTAssertEqual(status, 0, output)
        XCTAssertTrue(shown.hasSuffix("# " + output.trimmingCharacters(in: .newlines)), output)
    }

    func testPythonExampleFailsOnADifference() throws {
        guard let python = Self.find("python3") else {
            throw XCTSkip("no python3 on this machine: the ctypes example is not run")
        }
        // The same program with a wrong definition in its own loops must notice.
        let source = try String(contentsOfFile: example("oracle.py"), encoding: .utf8)
        let wrong = source.replacingOccurrences(of: "max(product, 0.0)", with: "max(product, 1.0)")
        XCTAssertNotEqual(source, wrong)
        try withTemporaryFolder { folder in
            let file = folder.appendingPathComponent("wrong.py")
            try wrong.write(to: file, atomically: true, encoding: .utf8)
            let (status, output) = try run(python, [file.path, library().path])
            XCTAssertEqual(status, 1, output)
            XCTAssertTrue(output.contains("logits: "), output)
        }
    }

    func testCExample() throws {
        guard let compiler = Self.find("clang") ?? Self.find("cc") else {
            throw XCTSkip("no C compiler on this machine: the C example is not run")
        }
        let library = try library()
        try withTemporaryFolder { folder in
            let program = folder.appendingPathComponent("oracle").path
            let header = repository.appendingPathComponent("Sources/CDSAOracle/include").path
            let built = try run(
                compiler,
                [
                    "-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic", "-I", header, example("oracle.c"),
                    library.path, "-Wl,-rpath,\(library.deletingLastPathComponent().path)", "-lm", "-o",
                    program,
                ]
            )
            XCTAssertEqual(built.status, 0, built.output)
            let (status, output) = try run(program, [])
            XCTAssertEqual(status, 0, output)
        }
    }

    func testHeaderIsCPlusPlus() throws {
        guard let compiler = Self.find("clang++") ?? Self.find("c++") else {
            throw XCTSkip("no C++ compiler on this machine: the header is not tried as C++")
        }
        let header = repository.appendingPathComponent("Sources/CDSAOracle/include/dsa_oracle.h").path
        let (status, output) = try run(
            compiler,
            ["-x", "c++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-fsyntax-only", header]
        )
        XCTAssertEqual(status, 0, output)
    }

    // MARK: - Processes

    private func example(_ name: String) throws -> String {
        let folder = try XCTUnwrap(Bundle.module.url(forResource: "Examples", withExtension: nil))
        return folder.appendingPathComponent(name).path
    }

    /// The dynamic library, in the folder of the test bundle.
    private func library() throws -> URL {
        // The library would need the rest of the sanitizer, which a program built without one does not have.
        let sanitizers = ["__asan_init", "__tsan_init"]
        if sanitizers.contains(where: { dlsym(Self.anywhere, $0) != nil }) {
            throw XCTSkip("built with a sanitizer: the examples are not run")
        }
        #if os(macOS)
            let (start, name) = (Bundle(for: Self.self).bundleURL, "libDSAOracle.dylib")
        #else
            let (start, name) = (Bundle.main.bundleURL, "libDSAOracle.so")
        #endif
        for folder in [start, start.deletingLastPathComponent()] {
            let library = folder.appendingPathComponent(name)
            if FileManager.default.fileExists(atPath: library.path) { return library }
        }
        throw XCTSkip("\(name) is not beside \(start.path): the examples are not run")
    }

    /// RTLD_DEFAULT, which is a macro that Swift does not import.
    private static var anywhere: UnsafeMutableRawPointer? {
        #if os(macOS)
            UnsafeMutableRawPointer(bitPattern: -2)
        #else
            nil
        #endif
    }

    private static func find(_ name: String) -> String? {
        (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":").map { "\($0)/\(name)" }
            .first(where: FileManager.default.isExecutableFile)
    }

    private func run(_ program: String, _ arguments: [String]) throws -> (status: Int32, output: String) {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: program)
        process.arguments = arguments
        let pipe = Pipe()
        process.standardOutput = pipe
        process.standardError = pipe
        try process.run()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: output, as: UTF8.self))
    }

    private func withTemporaryFolder(_ body: (URL) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString)
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        try body(folder)
    }
}

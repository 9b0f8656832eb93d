import Foundation
import XCTest

/// The `dsa` executable that was built beside the tests, as a process.
struct CommandLine {
    /// What a process left.
    struct Result {
        let status: Int32
        let output: String
    }

    private let executable: URL

    /// Finds the executable.
    init() throws {
        #if os(macOS)
            let start = Bundle(for: TrainCommandTests.self).bundleURL
        #else
            let start = Bundle.main.bundleURL
        #endif
        for folder in [start, start.deletingLastPathComponent()] {
            let file = folder.appendingPathComponent("dsa")
            if FileManager.default.isExecutableFile(atPath: file.path) {
                executable = file
                return
            }
        }
        throw XCTSkip("dsa is not beside \(start.path): the command line is not tried")
    }

    /// The folder of the model that comes along.
    var demoModel: URL {
        #if os(macOS)
            let bundle = "SparseAttention_dsa.bundle"
        #else
            let bundle = "SparseAttention_dsa.resources"
        #endif
        return executable.deletingLastPathComponent().appendingPathComponent(bundle + "/Model")
    }

    /// Starts a process, with variables of the environment besides those there are.
    func start(
        _ arguments: [String],
        environment: [String: String] = [:],
        output: Pipe = Pipe(),
        input: Any? = nil
    ) throws -> Process {
        let process = Process()
        process.executableURL = executable
        process.arguments = arguments
        process.standardOutput = output
        process.standardError = output
        process.standardInput = input ?? FileHandle.nullDevice
        process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        try process.run()
        return process
    }

    /// Runs a process to its end.
    func run(_ arguments: [String], environment: [String: String] = [:], input: String = "") throws -> Result
    {
        let (pipe, source) = (Pipe(), Pipe())
        let process = try start(arguments, environment: environment, output: pipe, input: source)
        // Less than a pipe holds, so that nobody waits.
        try source.fileHandleForWriting.write(contentsOf: Data(input.utf8))
        try source.fileHandleForWriting.close()
        let output = pipe.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return Result(status: process.terminationStatus, output: String(decoding: output, as: UTF8.self))
    }
}

import Foundation
import XCTest

/// A `dsa` process that is spoken to while it runs.
final class Dialogue {
    private let process: Process
    private let (input, output) = (Pipe(), Pipe())
    private var heard = Data()
    private var told = 0

    /// Starts the process.
    init(_ dsa: CommandLine, _ arguments: [String]) throws {
        process = try dsa.start(arguments, output: output, input: input)
    }

    deinit {
        if process.isRunning { kill(process.processIdentifier, SIGKILL) }
    }

    /// Writes a line to its standard input.
    func say(_ line: String) throws {
        try input.fileHandleForWriting.write(contentsOf: Data((line + "\n").utf8))
    }

    /// What Ctrl-C in its terminal does.
    func interrupt() {
        kill(process.processIdentifier, SIGINT)
    }

    /// Waits until it has written a text, behind what was waited for before.
    ///
    /// - Returns: what it wrote up to there; nil when the text does not come in time.
    func hears(_ text: String, within seconds: Double) throws -> String? {
        let end = Date(timeIntervalSinceNow: seconds)
        while true {
            if let range = heard[told...].firstRange(of: Data(text.utf8)) {
                defer { told = range.upperBound }
                return String(decoding: heard[told..<range.upperBound], as: UTF8.self)
            }
            guard end.timeIntervalSinceNow > 0, try listen() else { return nil }
        }
    }

    /// The same for a text that has to come.
    @discardableResult
    func hear(_ text: String, file: StaticString = #filePath, line: UInt = #line) throws -> String {
        let found = try hears(text, within: 60)
        let rest = String(decoding: heard[told...].suffix(1000), as: UTF8.self)
        return try XCTUnwrap(found, "\"\(text)\" does not come, but: \(rest)", file: file, line: line)
    }

    /// Ends its standard input and waits for it.
    ///
    /// - Returns: its exit status, and what it wrote meanwhile.
    func end() throws -> (status: Int32, output: String) {
        try input.fileHandleForWriting.close()
        while try listen() {}
        process.waitUntilExit()
        return (process.terminationStatus, String(decoding: heard[told...], as: UTF8.self))
    }

    /// Takes what there is to read, waiting a while; false at the end.
    private func listen() throws -> Bool {
        let handle = output.fileHandleForReading
        var descriptor = pollfd(fd: handle.fileDescriptor, events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, 200) > 0 else { return true }
        let bytes = handle.availableData
        heard += bytes
        return !bytes.isEmpty
    }
}

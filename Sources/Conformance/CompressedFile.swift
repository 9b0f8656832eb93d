import Foundation

/// A file the data hold compressed, unpacked by the system's `gzip`.
enum CompressedFile {
    /// Unpacks a gzip file.
    ///
    /// - Returns: its contents; nil when the system has no `gzip` or the file is damaged.
    static func unpack(_ url: URL) -> Data? {
        #if os(macOS) || os(Linux)
            let process = Process()
            let output = Pipe()
            process.executableURL = URL(fileURLWithPath: "/usr/bin/env")
            process.arguments = ["gzip", "-dc", url.path]
            process.standardOutput = output
            process.standardError = FileHandle.nullDevice
            do {
                try process.run()
                let data = try output.fileHandleForReading.readToEnd()
                process.waitUntilExit()
                return process.terminationStatus == 0 ? data : nil
            } catch {
                return nil
            }
        #else
            return nil
        #endif
    }
}

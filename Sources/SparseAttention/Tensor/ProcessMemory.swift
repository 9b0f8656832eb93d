import Foundation

#if canImport(Darwin)
    import Darwin
#endif

/// What this process holds of the machine's memory, files mapped into it included.
package enum ProcessMemory {
    /// The most bytes held at once since the process began, or since `resetPeak` last succeeded.
    package static var peak: Int {
        #if canImport(Darwin)
            var usage = rusage()
            getrusage(RUSAGE_SELF, &usage)
            return usage.ru_maxrss
        #else
            let text = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
            let line = text.split(separator: "\n").first { $0.hasPrefix("VmHWM:") }
            let kibibytes = line?.split(whereSeparator: \.isWhitespace).dropFirst().first.flatMap { Int($0) }
            return (kibibytes ?? 0) * 1024
        #endif
    }

    /// Lets `peak` begin anew from what is held now.
    ///
    /// - Returns: whether the system can do that.
    package static func resetPeak() -> Bool {
        #if os(Linux)
            // Documented in proc(5), /proc/pid/clear_refs.
            guard let file = FileHandle(forWritingAtPath: "/proc/self/clear_refs") else { return false }
            defer { try? file.close() }
            return (try? file.write(contentsOf: Data("5".utf8))) != nil
        #else
            false
        #endif
    }
}

import Foundation

#if canImport(Glibc)
    import Glibc
#endif

/// What the run is doing, on standard error when that is a terminal.
struct Progress {
    private let isShown = isatty(STDERR_FILENO) == 1

    /// Replaces the line shown; an empty one clears it.
    func show(_ line: String) {
        guard isShown else { return }
        FileHandle.standardError.write(Data("\r\u{1B}[K\(line)".utf8))
    }
}

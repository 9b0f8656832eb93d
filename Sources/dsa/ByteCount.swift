import ArgumentParser

/// Numbers of bytes as they are written on the command line.
enum ByteCount {
    private static let units: [(suffix: String, bytes: Int)] = [
        ("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30), ("TiB", 1 << 40),
    ]

    /// Reads a number such as 65536, 512MiB or 4GiB.
    static func parse(_ text: String) throws -> Int {
        let unit = units.first { text.hasSuffix($0.suffix) }
        let (bytes, isTooMuch) = (Int(text.dropLast(unit?.suffix.count ?? 0)) ?? 0)
            .multipliedReportingOverflow(by: unit?.bytes ?? 1)
        guard bytes > 0, !isTooMuch else {
            throw ValidationError("\(text) is no number of bytes; expected one such as 512MiB or 4GiB.")
        }
        return bytes
    }
}

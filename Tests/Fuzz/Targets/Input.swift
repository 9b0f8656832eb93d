import SparseInference

/// What libFuzzer hands over, taken apart from the front.
///
/// Texts end in a zero byte, which neither JSON nor a path can hold; the last one may go without.
struct Input {
    private var rest: UnsafeRawBufferPointer.SubSequence

    init(_ bytes: UnsafeRawBufferPointer) {
        rest = bytes[...]
    }

    var isEmpty: Bool { rest.isEmpty }

    /// All that is left.
    mutating func remainder() -> [UInt8] {
        defer { rest = rest[rest.endIndex...] }
        return Array(rest)
    }

    /// What will be left behind some texts.
    func remainder(afterTexts count: Int) -> [UInt8] {
        var copy = self
        for _ in 0..<count { _ = copy.text() }
        return copy.remainder()
    }

    /// The bytes up to the next zero.
    mutating func text() -> [UInt8] {
        let end = rest.firstIndex(of: 0) ?? rest.endIndex
        defer { rest = rest[min(end + 1, rest.endIndex)...] }
        return Array(rest[..<end])
    }

    /// The next byte; zero at the end.
    mutating func byte() -> UInt8 {
        rest.popFirst() ?? 0
    }

    /// A number below `bound`, of one byte.
    mutating func number(below bound: Int) -> Int {
        Int(byte()) % bound
    }

    /// The next `count` bit patterns of floats; zeros beyond the end.
    mutating func floats(_ count: Int) -> [Float] {
        (0..<count).map { _ in
            Float(bitPattern: (0..<4).reduce(UInt32(0)) { bits, _ in bits << 8 | UInt32(byte()) })
        }
    }

    /// A safetensors file whose header is the next text and whose data repeat `fill`.
    ///
    /// Without the data, files with big tensors make small inputs.
    mutating func file(named name: String, fill: [UInt8]) throws -> SafetensorsFile {
        let header = text()
        let needed = (try? JSONValue(parsing: header, maximumDepth: 8))?.object?.members.compactMap {
            $0.value.object?["data_offsets"]?.array?.last?.int
        }
        let dataBytes = min(max(needed?.max() ?? 0, 0), Self.largestData)
        var bytes = withUnsafeBytes(of: UInt64(header.count).littleEndian) { Array($0) }
        bytes += header
        bytes.reserveCapacity(bytes.count + dataBytes)
        let fill = fill.isEmpty ? [0] : fill
        for index in 0..<dataBytes { bytes.append(fill[index % fill.count]) }
        return try bytes.withUnsafeBytes { try SafetensorsFile(MappedFile(copying: $0, name: name)) }
    }

    /// More data than this no generated file has; in bytes.
    private static let largestData = 16 << 10
}

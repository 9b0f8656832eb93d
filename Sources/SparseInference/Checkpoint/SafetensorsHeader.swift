/// The checked header of a safetensors file: what its tensors are and where.
///
/// The file is eight bytes of header length, little-endian; that many bytes of JSON, which maps each name to
/// `dtype`, `shape` and `data_offsets`; then the data, which the tensors cover without gap or overlap.
///
/// Source: huggingface/safetensors, `README.md`, *Format*.
struct SafetensorsHeader {
    /// The tensors, in the order of the header.
    let entries: [TensorEntry]
    /// Free text the writer left in `__metadata__`.
    let metadata: [String: String]

    /// Bytes of the number that starts the file.
    static let lengthBytes = 8
    /// Larger headers are refused, as by the reference library (`MAX_HEADER_SIZE`); in bytes.
    static let largestHeader = 100_000_000
    /// The format needs a depth of three.
    private static let maximumDepth = 8
    private static let metadataKey = "__metadata__"

    /// Reads and checks the header of a whole file.
    init(of file: MappedFile) throws(CheckpointFault) {
        let bytes = file.bytes
        guard bytes.count >= Self.lengthBytes else {
            throw .truncated(byteCount: bytes.count, expected: Self.lengthBytes)
        }
        let claimed = UInt64(littleEndian: bytes.loadUnaligned(as: UInt64.self))
        let available = min(bytes.count - Self.lengthBytes, Self.largestHeader)
        guard let length = Int(exactly: claimed), length <= available else {
            throw .headerLength(found: claimed, available: available)
        }
        let dataStart = Self.lengthBytes + length
        let object = try Self.parse(Array(bytes[Self.lengthBytes..<dataStart]))

        var entries: [TensorEntry] = []
        var metadata: [String: String] = [:]
        let dataBytes = bytes.count - dataStart
        for member in object.members {
            guard member.key != Self.metadataKey else {
                metadata = try Self.metadata(member.value)
                continue
            }
            do {
                let data = try TensorDescription(member.value, dataBytes: dataBytes)
                entries.append(
                    TensorEntry(
                        name: member.key,
                        dataType: data.dataType,
                        shape: data.shape,
                        byteRange: data.offsets.lowerBound + dataStart..<data.offsets.upperBound + dataStart,
                        file: file.name
                    )
                )
            } catch {
                throw .tensor(member.key, error)
            }
        }
        try Self.checkCoverage(entries, dataStart: dataStart, dataBytes: dataBytes)
        self.entries = entries
        self.metadata = metadata
    }

    private static func parse(_ bytes: [UInt8]) throws(CheckpointFault) -> JSONObject {
        let value: JSONValue
        do {
            value = try JSONValue(parsing: bytes, maximumDepth: maximumDepth)
        } catch {
            throw .malformedHeader(error)
        }
        guard let object = value.object else { throw .headerNotObject(found: value.summary) }
        // The format asks for the brace as the very first byte, which JSON alone does not.
        guard bytes[0] == UInt8(ascii: "{") else {
            throw .malformedHeader(.unexpectedByte(bytes[0], offset: 0))
        }
        return object
    }

    private static func metadata(_ value: JSONValue) throws(CheckpointFault) -> [String: String] {
        guard let object = value.object else { throw .malformedMetadata(key: "", found: value.summary) }
        var metadata: [String: String] = [:]
        for member in object.members {
            guard let text = member.value.string else {
                throw .malformedMetadata(key: member.key, found: member.value.summary)
            }
            metadata[member.key] = text
        }
        return metadata
    }

    /// Refuses tensors that overlap and bytes of the data that no tensor owns.
    private static func checkCoverage(
        _ entries: [TensorEntry],
        dataStart: Int,
        dataBytes: Int
    ) throws(CheckpointFault) {
        let ordered = entries.sorted {
            ($0.byteRange.lowerBound, $0.byteRange.upperBound)
                < ($1.byteRange.lowerBound, $1.byteRange.upperBound)
        }
        var covered = 0
        var previous = ""
        for entry in ordered {
            let start = entry.byteRange.lowerBound - dataStart
            guard start >= covered else { throw .tensor(entry.name, .overlaps(previous)) }
            guard start == covered else { throw .unclaimedBytes(covered..<start) }
            covered = entry.byteRange.upperBound - dataStart
            previous = entry.name
        }
        guard covered == dataBytes else { throw .unclaimedBytes(covered..<dataBytes) }
    }
}

// MARK: - One tensor

/// What a header says of one tensor, checked against the size of the data.
private struct TensorDescription {
    let dataType: DataType
    let shape: [Int]
    /// Counted from the end of the header.
    let offsets: Range<Int>

    init(_ value: JSONValue, dataBytes: Int) throws(TensorFault) {
        guard let object = value.object else { throw .notAnObject(found: value.summary) }
        for member in object.members where TensorFault.Field(rawValue: member.key) == nil {
            throw .unexpectedField(member.key)
        }
        dataType = try Self.dataType(object)
        shape = try Self.wholeNumbers(.shape, of: object)
        offsets = try Self.offsets(object, dataBytes: dataBytes)
        let expected = try Self.byteCount(shape, dataType)
        guard offsets.count == expected else { throw .byteCount(found: offsets.count, expected: expected) }
    }

    private static func field(
        _ field: TensorFault.Field,
        of object: JSONObject
    ) throws(TensorFault) -> JSONValue {
        guard let value = object[field.rawValue] else { throw .missingField(field) }
        return value
    }

    private static func dataType(_ object: JSONObject) throws(TensorFault) -> DataType {
        let value = try field(.dataType, of: object)
        guard let name = value.string else { throw .malformedField(.dataType, found: value.summary) }
        guard let dataType = DataType(rawValue: name) else { throw .unknownDataType(name) }
        return dataType
    }

    private static func offsets(_ object: JSONObject, dataBytes: Int) throws(TensorFault) -> Range<Int> {
        let offsets = try wholeNumbers(.offsets, of: object)
        guard offsets.count == 2 else {
            throw .malformedField(.offsets, found: "a list of \(offsets.count)")
        }
        let (start, end) = (offsets[0], offsets[1])
        guard start <= end else { throw .reversedOffsets(start: start, end: end) }
        guard end <= dataBytes else { throw .outOfBounds(end: end, available: dataBytes) }
        return start..<end
    }

    private static func wholeNumbers(
        _ name: TensorFault.Field,
        of object: JSONObject
    ) throws(TensorFault) -> [Int] {
        let value = try field(name, of: object)
        guard let elements = value.array else { throw .malformedField(name, found: value.summary) }
        var numbers: [Int] = []
        for element in elements {
            guard let number = element.int, number >= 0 else {
                throw .malformedField(name, found: element.summary)
            }
            numbers.append(number)
        }
        return numbers
    }

    /// Bytes of a tensor; a zero does not excuse dimensions that overflow beside it.
    private static func byteCount(_ shape: [Int], _ dataType: DataType) throws(TensorFault) -> Int {
        var product = dataType.byteWidth
        for dimension in shape where dimension > 0 {
            let (next, overflow) = product.multipliedReportingOverflow(by: dimension)
            guard !overflow else { throw .shapeOverflow(shape) }
            product = next
        }
        return shape.contains(0) ? 0 : product
    }
}

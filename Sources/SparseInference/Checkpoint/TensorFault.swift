/// What is wrong with one tensor of a weight file.
public enum TensorFault: Error, Equatable, Sendable {
    /// The header describes the tensor by something other than an object.
    case notAnObject(found: String)
    /// The header leaves out a field.
    case missingField(Field)
    /// The header holds a field that the format does not know.
    case unexpectedField(String)
    /// A field is not what the format asks for.
    case malformedField(Field, found: String)
    /// The data type is none that the format knows.
    case unknownDataType(String)
    /// Elements or bytes of the shape are too many to count in 64 bits.
    case shapeOverflow([Int])
    /// The data ends before it starts.
    case reversedOffsets(start: Int, end: Int)
    /// The data ends after the last byte of the file; both are counted from the end of the header.
    case outOfBounds(end: Int, available: Int)
    /// Shape and data type need another number of bytes than the offsets give.
    case byteCount(found: Int, expected: Int)
    /// Two tensors share bytes.
    case overlaps(String)
    /// Another tensor of the file has the same name, perhaps spelled with other code points.
    case duplicateName
    /// No file of the checkpoint holds the tensor.
    case missing
    /// The index names a file for the tensor that does not hold it.
    case notInShard(String)
    /// Two files of the checkpoint hold a tensor of this name.
    case inTwoShards(String, String)
    /// The shape is not the one the model needs.
    case shape(found: [Int], expected: [Int])
    /// The data type is none of those the reader takes.
    case dataType(found: DataType, expected: [DataType])

    /// A field of a tensor's entry in a safetensors header.
    public enum Field: String, CaseIterable, Equatable, Sendable {
        /// The type of the elements.
        case dataType = "dtype"
        /// The dimensions.
        case shape
        /// First byte and end of the data.
        case offsets = "data_offsets"

        /// What the field holds, in words.
        fileprivate var expectation: String {
            switch self {
            case .dataType: "a string"
            case .shape: "a list of whole numbers from 0"
            case .offsets: "two whole numbers from 0"
            }
        }
    }
}

extension TensorFault: CustomStringConvertible {
    /// The fault in words, without the tensor's name.
    public var description: String {
        switch self {
        case .notAnObject(let found):
            "its entry is \(found), expected an object"
        case .missingField(let field):
            "its entry has no \(field.rawValue)"
        case .unexpectedField(let name):
            "its entry has a field \"\(name)\", expected dtype, shape and data_offsets only"
        case .malformedField(let field, let found):
            "\(field.rawValue) is \(found), expected \(field.expectation)"
        case .unknownDataType(let found):
            "dtype \"\(found)\" is unknown, expected one of "
                + DataType.allCases.map(\.rawValue).joined(separator: ", ")
        case .shapeOverflow(let shape):
            "shape \(shape) is larger than 64 bits can count"
        case .reversedOffsets(let start, let end):
            "its data ends at \(end), before it starts at \(start)"
        case .outOfBounds(let end, let available):
            "its data ends at byte \(end), the file has \(available) bytes of data"
        case .byteCount(let found, let expected):
            "its data has \(found) bytes, shape and dtype need \(expected)"
        case .overlaps(let other):
            "its data overlaps that of tensor \"\(other)\""
        case .duplicateName:
            "two tensors have this name"
        case .missing:
            "no file of the checkpoint holds this tensor"
        case .notInShard(let file):
            "the index places this tensor in \(file), which does not hold it"
        case .inTwoShards(let first, let second):
            "both \(first) and \(second) hold a tensor of this name"
        case .shape(let found, let expected):
            "shape is \(found), expected \(expected)"
        case .dataType(let found, let expected):
            "dtype is \(found), expected \(expected.map(\.rawValue).joined(separator: " or "))"
        }
    }
}

import Foundation

/// Why a weight file, or an index of weight files, cannot be trusted.
public enum CheckpointFault: Error, Equatable, Sendable {
    /// There is no such file.
    case missingFile
    /// The system refused to open or to map the file; `code` is its `errno`.
    case unreadable(code: Int32)
    /// The name belongs to a folder, a device or a pipe.
    case notRegularFile
    /// The file is larger than anything of its kind should be; both in bytes.
    case fileTooLarge(byteCount: Int, limit: Int)
    /// A folder holds neither `model.safetensors` nor `model.safetensors.index.json`.
    case noWeights
    /// The file is shorter than the number that starts it; in bytes.
    case truncated(byteCount: Int, expected: Int)
    /// The header claims more bytes than the file has for it, or than a header may have.
    case headerLength(found: UInt64, available: Int)
    /// The header is not the JSON it should be.
    case malformedHeader(JSONFault)
    /// The header is JSON, but no object.
    case headerNotObject(found: String)
    /// `__metadata__` is not an object of strings; `key` is empty when it is no object at all.
    case malformedMetadata(key: String, found: String)
    /// No tensor owns these bytes of the data, counted from the end of the header.
    case unclaimedBytes(Range<Int>)
    /// The index is no object, or has no object `weight_map`; `found` is what stands there.
    case malformedIndex(found: String)
    /// The `weight_map` of the index names no tensor.
    case emptyIndex
    /// The index names a file by something other than the plain name of a safetensors file.
    case unsafeShardName(String)
    /// The index names a file that does not exist.
    case missingShard(String)
    /// One tensor is wrong.
    case tensor(String, TensorFault)
}

extension CheckpointFault: CustomStringConvertible {
    /// The fault in words, without the file's name.
    public var description: String {
        switch self {
        case .missingFile:
            "there is no such file"
        case .unreadable(let code):
            "cannot be read: \(String(cString: strerror(code)))"
        case .notRegularFile:
            "not a regular file"
        case .fileTooLarge(let byteCount, let limit):
            "has \(byteCount) bytes, expected at most \(limit)"
        case .noWeights:
            "the folder holds neither model.safetensors nor model.safetensors.index.json"
        case .truncated(let byteCount, let expected):
            "has \(byteCount) bytes, expected at least \(expected)"
        case .headerLength(let found, let available):
            "the header claims \(found) bytes, expected at most \(available)"
        case .malformedHeader(let fault):
            "the header is malformed: \(fault)"
        case .headerNotObject(let found):
            "the header is \(found), expected an object"
        case .malformedMetadata(let key, let found):
            key.isEmpty
                ? "__metadata__ is \(found), expected an object of strings"
                : "__metadata__ holds \(found) at \"\(key)\", expected a string"
        case .unclaimedBytes(let range):
            "data bytes \(range.lowerBound)..<\(range.upperBound) belong to no tensor"
        case .malformedIndex(let found):
            "weight_map is \(found), expected an object of file names"
        case .emptyIndex:
            "weight_map names no tensor"
        case .unsafeShardName(let name):
            "weight_map names the file \"\(name)\", expected the plain name of a .safetensors file"
        case .missingShard(let name):
            "weight_map names the file \(name), which does not exist"
        case .tensor(let name, let fault):
            "tensor \"\(name)\": \(fault)"
        }
    }
}

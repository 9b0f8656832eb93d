package import Foundation

/// Why a safetensors file cannot be written.
package enum WriterFault: Error, Equatable, Sendable {
    /// Shape and data type need another number of bytes than were given.
    case byteCount(name: String, found: Int, expected: Int)
    /// The writer does not write this type.
    case dataType(name: String, found: DataType)
    /// The file could not be written; `reason` is the system's.
    case unwritable(file: String, reason: String)
}

extension WriterFault: CustomStringConvertible {
    /// The fault in words.
    package var description: String {
        switch self {
        case .byteCount(let name, let found, let expected):
            "tensor \"\(name)\" has \(found) bytes, its shape needs \(expected)"
        case .dataType(let name, let found):
            "tensor \"\(name)\" has dtype \(found), expected F32, BF16, I32, U8 or F8_E4M3"
        case .unwritable(let file, let reason):
            "\(file): cannot be written: \(reason)"
        }
    }
}

/// A tensor to be stored.
package struct StoredTensor: Equatable, Sendable {
    /// The type of its elements.
    package let dataType: DataType
    /// Its dimensions, outermost first.
    package let shape: [Int]
    /// Its elements, little-endian.
    package let bytes: Data

    /// A tensor of bytes that are laid out already.
    package init(dataType: DataType, shape: [Int], bytes: Data) {
        self.dataType = dataType
        self.shape = shape
        self.bytes = bytes
    }

    /// An F32 tensor.
    package init(_ elements: [Float], shape: [Int]) {
        let words = elements.map(\.bitPattern.littleEndian)
        self.init(dataType: .float32, shape: shape, bytes: words.withUnsafeBytes { Data($0) })
    }

    /// An I32 tensor.
    package init(_ elements: [Int32], shape: [Int]) {
        let words = elements.map(\.littleEndian)
        self.init(dataType: .int32, shape: shape, bytes: words.withUnsafeBytes { Data($0) })
    }
}

/// Writes safetensors files.
package enum SafetensorsWriter {
    /// Writes a file, which appears whole or not at all.
    ///
    /// Names are sorted and the header is padded to eight bytes; tensors are written one after another.
    ///
    /// - Parameters:
    ///   - tensors: what to store, by name.
    ///   - metadata: free text for `__metadata__`.
    ///   - url: the file; one that exists is replaced.
    /// - Throws: `WriterFault`.
    package static func write(
        _ tensors: [String: StoredTensor],
        metadata: [String: String] = [:],
        to url: URL
    ) throws {
        let names = tensors.keys.sorted()
        let header = try header(names.compactMap { name in tensors[name].map { (name, $0) } }, metadata)
        let temporary = url.deletingLastPathComponent()
            .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString)")
        do {
            try header.write(to: temporary)
            let handle = try FileHandle(forWritingTo: temporary)
            try handle.seekToEnd()
            for name in names {
                if let tensor = tensors[name] { try handle.write(contentsOf: tensor.bytes) }
            }
            try handle.close()
            guard rename(temporary.path, url.path) == 0 else {
                throw WriterFault.unwritable(
                    file: url.lastPathComponent,
                    reason: String(cString: strerror(errno))
                )
            }
        } catch {
            try? FileManager.default.removeItem(at: temporary)
            if let fault = error as? WriterFault { throw fault }
            throw WriterFault.unwritable(file: url.lastPathComponent, reason: error.localizedDescription)
        }
    }

    private static func header(_ tensors: [(String, StoredTensor)], _ metadata: [String: String]) throws
        -> Data
    {
        var object: [String: Any] = metadata.isEmpty ? [:] : ["__metadata__": metadata]
        var offset = 0
        for (name, tensor) in tensors {
            guard [.float32, .bfloat16, .int32, .uint8, .float8E4M3].contains(tensor.dataType) else {
                throw WriterFault.dataType(name: name, found: tensor.dataType)
            }
            let expected = tensor.shape.reduce(tensor.dataType.byteWidth, *)
            guard tensor.bytes.count == expected else {
                throw WriterFault.byteCount(name: name, found: tensor.bytes.count, expected: expected)
            }
            object[name] = [
                "dtype": tensor.dataType.rawValue, "shape": tensor.shape,
                "data_offsets": [offset, offset + expected],
            ]
            offset += expected
        }
        var json = try JSONSerialization.data(withJSONObject: object, options: [.sortedKeys])
        json.append(Data(repeating: 0x20, count: (8 - json.count % 8) % 8))
        return withUnsafeBytes(of: UInt64(json.count).littleEndian) { Data($0) } + json
    }
}

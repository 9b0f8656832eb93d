package import Foundation

/// A safetensors file, checked from end to end and mapped into memory.
///
/// Opening reads the header alone; the data stays on disk until it is used. Data starts wherever the header
/// ends, so readers must not expect it to be aligned.
package final class SafetensorsFile: Sendable {
    /// The file's name, without the path that leads to it.
    package var name: String { map.name }

    /// The names of the tensors, in the order of the header.
    package let names: [String]

    /// The tensors by name.
    package let tensors: [String: TensorEntry]

    /// Free text the writer left in `__metadata__`.
    package let metadata: [String: String]

    private let map: MappedFile

    /// Opens a file and checks all that its header claims.
    ///
    /// - Parameter url: where the file is.
    /// - Throws: `SparseInferenceError.checkpoint` when the file cannot be read or its header lies: lengths,
    ///   names, types, shapes, offsets, gaps and overlaps.
    package convenience init(contentsOf url: URL) throws(SparseInferenceError) {
        try self.init(MappedFile(contentsOf: url))
    }

    /// Checks all that the header of a file claims.
    ///
    /// - Parameter file: the whole file, mapped or in memory.
    /// - Throws: `SparseInferenceError.checkpoint` when its header lies.
    package init(_ file: MappedFile) throws(SparseInferenceError) {
        map = file
        do {
            let header = try SafetensorsHeader(of: map)
            tensors = try SafetensorsFile.byName(header.entries)
            names = header.entries.map(\.name)
            metadata = header.metadata
        } catch {
            throw .checkpoint(file: file.name, error)
        }
    }

    /// Refuses names that differ in their bytes but are one `String`, which JSON itself lets pass.
    private static func byName(_ entries: [TensorEntry]) throws(CheckpointFault) -> [String: TensorEntry] {
        var tensors: [String: TensorEntry] = [:]
        tensors.reserveCapacity(entries.count)
        for entry in entries where tensors.updateValue(entry, forKey: entry.name) != nil {
            throw .tensor(entry.name, .duplicateName)
        }
        return tensors
    }
}

// MARK: - Bytes in place

extension SafetensorsFile {
    /// Lends the bytes of a tensor, in place and unaligned.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor, and whatever `body`
    ///   throws.
    package func withBytes<Result>(
        of name: String,
        _ body: (UnsafeRawBufferPointer) throws -> Result
    ) throws -> Result {
        let entry = try find(name)
        return try withExtendedLifetime(map) { try body(mappedBytes(of: entry)) }
    }

    /// The bytes of a tensor of this file, in place and unaligned; valid while this object lives.
    package func mappedBytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        precondition(entry == tensors[entry.name], "the entry belongs to another file")
        return UnsafeRawBufferPointer(rebasing: map.bytes[entry.byteRange])
    }

    /// The entry of a tensor.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor.
    package func find(_ name: String) throws(SparseInferenceError) -> TensorEntry {
        guard let entry = tensors[name] else {
            throw .checkpoint(file: map.name, .tensor(name, .missing))
        }
        return entry
    }
}

// MARK: - Copies

extension SafetensorsFile {
    /// A copy of a tensor as `Float`; F16 and BF16 are widened, which is exact.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor or it is none of F32, F16
    ///   and BF16.
    package func floats(of name: String) throws(SparseInferenceError) -> [Float] {
        let entry = try find(name, dataTypes: [.float32, .float16, .bfloat16])
        switch entry.dataType {
        case .float32:
            return elements(of: entry) { (bits: UInt32) in Float(bitPattern: bits) }
        case .float16:
            return elements(of: entry) { (bits: UInt16) in Float(halfBitPattern: bits) }
        default:
            return elements(of: entry) { (bits: UInt16) in Float(bitPattern: UInt32(bits) << 16) }
        }
    }

    /// A copy of a tensor as `Double`; F32, F16 and BF16 are widened, which is exact.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor or it is none of F64,
    ///   F32, F16 and BF16.
    package func doubles(of name: String) throws(SparseInferenceError) -> [Double] {
        let entry = try find(name, dataTypes: [.float64, .float32, .float16, .bfloat16])
        guard entry.dataType == .float64 else { return try floats(of: name).map(Double.init) }
        return elements(of: entry) { (bits: UInt64) in Double(bitPattern: bits) }
    }

    /// A copy of an I32 tensor.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor or it is not I32.
    package func int32s(of name: String) throws(SparseInferenceError) -> [Int32] {
        let entry = try find(name, dataTypes: [.int32])
        return elements(of: entry) { (bits: UInt32) in Int32(bitPattern: bits) }
    }

    /// A copy of a tensor whose elements are single bytes: codes and truth values.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the file has no such tensor or its elements are
    ///   wider.
    package func bytes(of name: String) throws(SparseInferenceError) -> [UInt8] {
        let entry = try find(name, dataTypes: DataType.allCases.filter { $0.byteWidth == 1 })
        return withExtendedLifetime(map) { Array(mappedBytes(of: entry)) }
    }

    private func find(_ name: String, dataTypes: [DataType]) throws(SparseInferenceError) -> TensorEntry {
        let entry = try find(name)
        guard dataTypes.contains(entry.dataType) else {
            let fault = TensorFault.dataType(found: entry.dataType, expected: dataTypes)
            throw .checkpoint(file: map.name, .tensor(name, fault))
        }
        return entry
    }

    /// Copies elements out one by one; no load expects alignment, and the file is little-endian.
    private func elements<Bits: FixedWidthInteger & BitwiseCopyable, Element>(
        of entry: TensorEntry,
        _ element: (Bits) -> Element
    ) -> [Element] {
        withExtendedLifetime(map) {
            let source = mappedBytes(of: entry)
            let width = MemoryLayout<Bits>.size
            return [Element](unsafeUninitializedCapacity: entry.elementCount) { target, count in
                for index in 0..<entry.elementCount {
                    let bits = source.loadUnaligned(fromByteOffset: index * width, as: Bits.self)
                    target.initializeElement(at: index, to: element(Bits(littleEndian: bits)))
                }
                count = entry.elementCount
            }
        }
    }
}

extension Float {
    /// The binary16 number with the given bits, exactly. (`Float16` itself is missing on some machines.)
    package init(halfBitPattern bits: UInt16) {
        let sign = UInt32(bits & 0x8000) << 16
        let exponent = UInt32(bits >> 10 & 0x1F)
        let fraction = UInt32(bits & 0x3FF)
        switch exponent {
        case 0:
            // Subnormal: the fraction counts steps of 2^-24.
            let magnitude = Float(fraction) * 0x1p-24
            self.init(bitPattern: sign | magnitude.bitPattern)
        case 0x1F:
            self.init(bitPattern: sign | 0x7F80_0000 | fraction << 13)
        default:
            // The biases differ by 127 - 15.
            self.init(bitPattern: sign | (exponent + 112) << 23 | fraction << 13)
        }
    }
}

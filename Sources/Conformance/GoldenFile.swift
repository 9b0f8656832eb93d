import Foundation
import SparseAttention
package import SparseInference

/// A safetensors file of expected values.
package struct GoldenFile {
    let file: SafetensorsFile

    /// Reads expected values from an opened file.
    package init(_ file: SafetensorsFile) {
        self.file = file
    }

    init(_ url: URL) throws {
        file = try SafetensorsFile(contentsOf: url)
    }

    /// An F32, F16 or BF16 tensor in float32, with elements.
    ///
    /// - Throws: for an empty tensor: a dimension beside a zero may be any number, and rows without elements
    ///   are rows to loop over.
    func tensor(_ name: String) throws -> Tensor {
        let shape = try Shape(file.find(name).shape)
        guard shape.count > 0 else { throw GoldenFault.emptyTensor(name) }
        return try Tensor(file.floats(of: name), shape: shape)
    }

    /// A tensor of so many dimensions, the last of a known size where it has to be one.
    func tensor(_ name: String, rank: Int, columns: Int? = nil) throws -> Tensor {
        let tensor = try tensor(name)
        try check(tensor.shape.rank, is: rank, .rank, of: name)
        try check(tensor.shape.columns, is: columns ?? tensor.shape.columns, .columns, of: name)
        return tensor
    }

    /// A matrix to multiply rows of `columns` numbers by, `[rows, columns]`.
    func matrix(_ name: String, columns: Int? = nil) throws -> WeightMatrix {
        WeightMatrix(try tensor(name, rank: 2, columns: columns))
    }

    /// Refuses a size that another argument does not allow.
    func check(
        _ found: Int,
        is expected: Int,
        _ dimension: SparseAttentionError.Dimension,
        of name: String
    ) throws {
        guard found == expected else {
            throw SparseAttentionError.dimensionMismatch(
                dimension,
                argument: name,
                expected: expected,
                found: found
            )
        }
    }

    /// The elements of an F32, F16 or BF16 tensor in float32.
    func floats(_ name: String) throws -> [Float] {
        try file.floats(of: name)
    }

    /// The elements of an I32 tensor.
    func int32s(_ name: String) throws -> [Int32] {
        try file.int32s(of: name)
    }

    /// The elements of an I32 tensor.
    func ints(_ name: String) throws -> [Int] {
        try file.int32s(of: name).map(Int.init)
    }

    /// The codes of a tensor with one byte an element.
    func codes(_ name: String) throws -> [UInt8] {
        try file.bytes(of: name)
    }

    func shape(_ name: String) throws -> [Int] {
        try file.find(name).shape
    }

    func contains(_ name: String) -> Bool {
        file.tensors[name] != nil
    }

    /// The distinct beginnings of names, up to `suffix`, among those that start with `prefix`; sorted.
    func groups(_ prefix: String, endingBefore suffix: String) -> [String] {
        file.names.filter { $0.hasPrefix(prefix) && $0.hasSuffix(suffix) }.map {
            String($0.dropLast(suffix.count))
        }
    }

    /// A selection stored as I32 `[tokens, slots]`.
    func selection(_ name: String) throws -> TokenSelection {
        guard let tokens = try shape(name).first, let slots = try shape(name).last else {
            throw GoldenFault.emptyTensor(name)
        }
        return try TokenSelection(positions: int32s(name), queryTokens: tokens, slots: slots)
    }
}

/// A JSON file beside golden data.
func readJSON(_ url: URL) throws -> JSONValue {
    try JSONValue(parsing: [UInt8](Data(contentsOf: url)), dialect: .nonFiniteNumbers)
}

extension JSONValue {
    /// The value under a chain of keys.
    func at(_ keys: String...) throws -> JSONValue {
        try keys.reduce(self) { value, key in
            guard let next = value.object?[key] else { throw GoldenFault.missingKey(key) }
            return next
        }
    }

    /// The number under a key.
    func number(_ key: String) throws -> Double {
        guard let number = try at(key).double else { throw GoldenFault.missingKey(key) }
        return number
    }

    /// The whole number under a key.
    func integer(_ key: String) throws -> Int {
        guard let number = try at(key).int else { throw GoldenFault.missingKey(key) }
        return number
    }

    /// The string under a key.
    func text(_ key: String) throws -> String {
        guard let text = try at(key).string else { throw GoldenFault.missingKey(key) }
        return text
    }

    /// The whole numbers under a key.
    func integers(_ key: String) throws -> [Int] {
        guard let array = try at(key).array else { throw GoldenFault.missingKey(key) }
        return array.compactMap(\.int)
    }
}

/// What can be wrong with the golden data themselves.
package enum GoldenFault: Error, Equatable, Sendable {
    /// A JSON file lacks a key, or has something else under it.
    case missingKey(String)
    /// A tensor has no elements, or is a scalar where a list should be.
    case emptyTensor(String)
}

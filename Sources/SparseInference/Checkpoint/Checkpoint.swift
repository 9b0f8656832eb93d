package import Foundation

/// The weights of a model: one safetensors file, or several with an index, in one folder.
///
/// Every header is checked before any tensor is handed out; the data stays on disk until it is used.
package final class Checkpoint: Sendable {
    /// The names of all tensors, sorted.
    package let names: [String]

    /// How many bytes the data of all tensors takes.
    package let totalBytes: Int

    /// The file that lists the tensors: the index, or the only weight file.
    private let listing: String
    private let entries: [String: TensorEntry]
    private let files: [String: SafetensorsFile]

    private static let singleFile = "model.safetensors"
    private static let indexFile = "model.safetensors.index.json"

    /// Opens the weights of a folder: `model.safetensors` if it is there, else the files that
    /// `model.safetensors.index.json` names.
    ///
    /// A weight file may be a symbolic link, as in download caches, but the index names it by a plain name.
    /// Tensors that the index does not list are left aside.
    ///
    /// - Parameter folder: where the files are.
    /// - Throws: `SparseInferenceError` when a file is missing or malformed, when the index and the files
    ///   disagree, or when two files hold a tensor of the same name.
    package init(contentsOf folder: URL) throws(SparseInferenceError) {
        let single = folder.appendingPathComponent(Checkpoint.singleFile)
        let parts: Parts
        do {
            parts = Parts(file: try SafetensorsFile(contentsOf: single))
        } catch .checkpoint(_, .missingFile) {
            parts = try Parts(shardsIn: folder)
        } catch {
            throw error
        }
        files = parts.files
        entries = parts.entries
        listing = parts.listing
        names = parts.entries.keys.sorted()
        totalBytes = parts.entries.values.reduce(0) { $0 + $1.byteCount }
    }
}

// MARK: - Tensors

extension Checkpoint {
    /// The entry of a tensor; nil when the checkpoint has none of this name.
    package func entry(_ name: String) -> TensorEntry? {
        entries[name]
    }

    /// The entry of a tensor that has to be there, in this shape, as one of these types.
    ///
    /// - Parameters:
    ///   - name: the tensor's name.
    ///   - shape: its dimensions, outermost first.
    ///   - dataTypes: what its elements may be.
    /// - Returns: where the tensor lies.
    /// - Throws: `SparseInferenceError.checkpoint` when the tensor is missing or is something else.
    package func require(
        _ name: String,
        shape: [Int],
        dataTypes: [DataType]
    ) throws(SparseInferenceError) -> TensorEntry {
        guard let entry = entries[name] else { throw .checkpoint(file: listing, .tensor(name, .missing)) }
        guard dataTypes.contains(entry.dataType) else {
            let fault = TensorFault.dataType(found: entry.dataType, expected: dataTypes)
            throw .checkpoint(file: entry.file, .tensor(name, fault))
        }
        guard entry.shape == shape else {
            let fault = TensorFault.shape(found: entry.shape, expected: shape)
            throw .checkpoint(file: entry.file, .tensor(name, fault))
        }
        return entry
    }

    /// The file that holds a tensor.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when the checkpoint has no such tensor.
    package func file(of name: String) throws(SparseInferenceError) -> SafetensorsFile {
        guard let entry = entries[name], let file = files[entry.file] else {
            throw .checkpoint(file: listing, .tensor(name, .missing))
        }
        return file
    }

    /// The bytes of a tensor of this checkpoint, in place and unaligned; valid while this object lives.
    package func mappedBytes(of entry: TensorEntry) -> UnsafeRawBufferPointer {
        guard let file = files[entry.file] else {
            preconditionFailure("the entry belongs to another checkpoint")
        }
        return file.mappedBytes(of: entry)
    }

    /// A copy of an F32, F16 or BF16 tensor as `Float`, exactly.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` when there is no such tensor or it is of another type.
    package func floats(of name: String) throws(SparseInferenceError) -> [Float] {
        try file(of: name).floats(of: name)
    }
}

// MARK: - Opening

extension Checkpoint {
    /// The opened files and the tensors found in them.
    private struct Parts {
        var files: [String: SafetensorsFile] = [:]
        var entries: [String: TensorEntry] = [:]
        let listing: String

        init(file: SafetensorsFile) {
            files = [file.name: file]
            entries = file.tensors
            listing = file.name
        }

        init(shardsIn folder: URL) throws(SparseInferenceError) {
            listing = Checkpoint.indexFile
            let index: WeightIndex
            do {
                index = try WeightIndex(contentsOf: folder.appendingPathComponent(listing))
            } catch .checkpoint(_, .missingFile) {
                throw .checkpoint(file: folder.lastPathComponent, .noWeights)
            } catch {
                throw error
            }
            try open(index.shards, in: folder)
            for (tensor, shard) in index.places {
                guard let entry = files[shard]?.tensors[tensor] else {
                    throw .checkpoint(file: listing, .tensor(tensor, .notInShard(shard)))
                }
                guard entries.updateValue(entry, forKey: tensor) == nil else {
                    throw .checkpoint(file: listing, .tensor(tensor, .duplicateName))
                }
            }
        }

        /// Opens every file and refuses a tensor that two of them hold.
        private mutating func open(_ shards: [String], in folder: URL) throws(SparseInferenceError) {
            var holders: [String: String] = [:]
            for shard in shards {
                let file: SafetensorsFile
                do {
                    file = try SafetensorsFile(contentsOf: folder.appendingPathComponent(shard))
                } catch .checkpoint(_, .missingFile) {
                    throw .checkpoint(file: listing, .missingShard(shard))
                } catch {
                    throw error
                }
                for name in file.names {
                    if let first = holders.updateValue(shard, forKey: name) {
                        throw .checkpoint(file: listing, .tensor(name, .inTwoShards(first, shard)))
                    }
                }
                files[shard] = file
            }
        }
    }
}

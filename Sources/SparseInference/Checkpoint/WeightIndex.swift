import Foundation

/// The checked `model.safetensors.index.json`: which file holds which tensor.
package struct WeightIndex {
    /// The names of the tensors with their file, in the order of the index.
    package let places: [(tensor: String, shard: String)]

    /// The files, each once, by name.
    package let shards: [String]

    /// A larger index is refused unread; in bytes.
    ///
    /// That of DeepSeek-V3.2 has nine million.
    static let largestFile = 256 << 20

    private static let shardSuffix = ".safetensors"

    /// Reads and checks an index; opens none of the files it names.
    init(contentsOf url: URL) throws(SparseInferenceError) {
        let value = try JSONValue(contentsOf: url, limit: Self.largestFile)
        do {
            try self.init(value)
        } catch {
            throw .checkpoint(file: url.lastPathComponent, error)
        }
    }

    /// Checks what an index holds.
    ///
    /// - Throws: the first `CheckpointFault` met.
    package init(_ value: JSONValue) throws(CheckpointFault) {
        places = try WeightIndex.places(value)
        shards = Set(places.map(\.shard)).sorted()
    }

    private static func places(
        _ value: JSONValue
    ) throws(CheckpointFault) -> [(tensor: String, shard: String)] {
        guard let index = value.object else { throw .malformedIndex(found: value.summary) }
        guard let map = index["weight_map"] else { throw .malformedIndex(found: "missing") }
        guard let members = map.object?.members else { throw .malformedIndex(found: map.summary) }
        guard !members.isEmpty else { throw .emptyIndex }
        var places: [(tensor: String, shard: String)] = []
        places.reserveCapacity(members.count)
        for member in members {
            guard let shard = member.value.string else {
                throw .malformedIndex(found: "\(member.value.summary) for \"\(member.key)\"")
            }
            guard isPlainName(shard) else { throw .unsafeShardName(shard) }
            places.append((member.key, shard))
        }
        return places
    }

    /// Whether a name stays in its folder on every system: no separators, no drive, nothing special.
    private static func isPlainName(_ name: String) -> Bool {
        guard name.hasSuffix(shardSuffix), !name.hasPrefix("."), name.utf8.count <= 255 else { return false }
        return name.unicodeScalars.allSatisfy { scalar in
            scalar.value >= 0x20 && scalar.value != 0x7F && !["/", "\\", ":"].contains(scalar)
        }
    }
}

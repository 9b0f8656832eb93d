/// A JSON object: its members in the order of the file, no key twice.
///
/// Keys are equal when their UTF-8 bytes are. `String` equality would also join keys that differ in
/// their bytes and merely look the same, which a vocabulary is full of.
package struct JSONObject: Sendable {
    /// One key with its value.
    package struct Member: Equatable, Sendable {
        /// The key, escapes resolved.
        package let key: String
        /// What stands behind the key.
        package let value: JSONValue

        /// Pairs a key with its value.
        package init(key: String, value: JSONValue) {
            self.key = key
            self.value = value
        }

        /// Whether both keys have the same bytes and both values are equal.
        package static func == (left: Member, right: Member) -> Bool {
            ByteKey(left.key) == ByteKey(right.key) && left.value == right.value
        }
    }

    /// The members, in the order of the file.
    package let members: [Member]

    /// Where each key stands in `members`; empty while the object is small enough to look through.
    private let positions: [ByteKey: Int]

    /// An object is searched from end to end up to this many members, and by hash beyond.
    private static let largestScan = 8

    /// Makes an object of members in order.
    ///
    /// - Throws: `JSONFault.duplicateKey` when two keys have the same bytes.
    package init(_ members: [Member]) throws(JSONFault) {
        self.members = members
        guard members.count > JSONObject.largestScan else {
            positions = [:]
            for (position, member) in members.enumerated() {
                let key = ByteKey(member.key)
                for earlier in members[..<position] where ByteKey(earlier.key) == key {
                    throw .duplicateKey(member.key)
                }
            }
            return
        }
        var positions: [ByteKey: Int] = [:]
        positions.reserveCapacity(members.count)
        for (position, member) in members.enumerated() {
            if positions.updateValue(position, forKey: ByteKey(member.key)) != nil {
                throw .duplicateKey(member.key)
            }
        }
        self.positions = positions
    }

    /// The value of a key; nil when the object has no such key.
    ///
    /// - Complexity: O(length of the key).
    package subscript(key: String) -> JSONValue? {
        let key = ByteKey(key)
        if members.count > JSONObject.largestScan {
            return positions[key].map { members[$0].value }
        }
        return members.first { ByteKey($0.key) == key }?.value
    }
}

extension JSONObject: Equatable {
    /// Whether both hold equal members in the same order.
    package static func == (left: JSONObject, right: JSONObject) -> Bool {
        left.members == right.members
    }
}

/// A string as its UTF-8 bytes: equal and hashed by them alone.
struct ByteKey: Hashable, Sendable {
    let string: String

    init(_ string: String) {
        var string = string
        string.makeContiguousUTF8()
        self.string = string
    }

    static func == (left: ByteKey, right: ByteKey) -> Bool {
        let (left, right) = (left.string.utf8, right.string.utf8)
        return left.count == right.count && left.elementsEqual(right)
    }

    func hash(into hasher: inout Hasher) {
        let isHashed: Void? = string.utf8.withContiguousStorageIfAvailable { bytes in
            hasher.combine(bytes: UnsafeRawBufferPointer(bytes))
        }
        precondition(isHashed != nil, "a contiguous string shows its bytes")
    }
}

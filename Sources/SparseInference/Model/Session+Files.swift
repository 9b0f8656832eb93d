public import Foundation
public import SparseAttention

/// Sessions on disk: read a long document once, ask many times.
///
/// A file is safetensors: the tokens, and of each layer the rows of its caches as they are stored. Its metadata name the
/// model by a digest of its configuration, headers and the beginnings of its weights, the numerics, the mode its tokens were
/// read in, and a digest of the whole file. What does not fit, or is not as it was written, is refused.
extension Session {
    private static let version = "2"

    /// Writes the session; the file appears whole or not at all.
    ///
    /// - Parameter url: the file; one that exists is replaced.
    /// - Throws: what the file system refuses.
    public func write(to url: URL) throws {
        var tensors = ["tokens": StoredTensor(tokens.map(Int32.init), shape: [count])]
        func store(_ parts: [UnsafeRawBufferPointer], _ layer: Int, _ kind: String) {
            for (index, part) in parts.enumerated() {
                guard let base = part.baseAddress, !part.isEmpty else { continue }
                // The caches outlive the writing.
                let bytes = Data(
                    bytesNoCopy: UnsafeMutableRawPointer(mutating: base),
                    count: part.count,
                    deallocator: .none
                )
                tensors[Self.name(layer, kind, index)] = StoredTensor(
                    dataType: .uint8,
                    shape: [part.count],
                    bytes: bytes
                )
            }
        }
        for (layer, cache) in caches.enumerated() {
            cache.latents.withStoredParts { store($0, layer, "latents") }
            cache.indexKeys.withStoredParts { store($0, layer, "indexKeys") }
        }
        let metadata = [
            "session": Self.version, "model": try ModelDigest(model).text, "numerics": numerics,
            "attention": attentionText, "digest": FileDigest.blank,
        ]
        let temporary = url.deletingLastPathComponent()
            .appendingPathComponent(".\(url.lastPathComponent).\(UUID().uuidString)")
        defer { try? FileManager.default.removeItem(at: temporary) }
        try withExtendedLifetime(self) {
            try SafetensorsWriter.write(tensors, metadata: metadata, to: temporary)
        }
        try FileDigest.stamp(temporary)
        guard rename(temporary.path, url.path) == 0 else {
            let reason = String(cString: strerror(errno))
            throw WriterFault.unwritable(file: url.lastPathComponent, reason: reason)
        }
    }

    /// Goes on with a stored session.
    ///
    /// - Parameters:
    ///   - url: the file.
    ///   - model: the one that wrote it, with the same numerics.
    ///   - capacity: the most tokens it will hold; at least those it holds.
    ///   - cacheFormat: as it was when the session was written.
    ///   - attention: the mode it will go on in, in which all its tokens must have been read.
    /// - Throws: `SparseInferenceError.session` for a file of another model, other numerics, another mode, or one that is
    ///   damaged.
    public convenience init(
        contentsOf url: URL,
        _ model: LanguageModel,
        capacity: Int,
        cacheFormat: CacheFormat? = nil,
        attention: AttentionMode = .sparse
    ) throws {
        try self.init(model, capacity: capacity, cacheFormat: cacheFormat)
        let map = try MappedFile(contentsOf: url)
        let file: SafetensorsFile
        do {
            file = try SafetensorsFile(map)
        } catch {
            throw SparseInferenceError.session(file: map.name, .notASession(reason: "\(error)"))
        }
        do {
            try check(file, map, attention: effective(attention))
            try restore(from: file, attention: attention)
        } catch let fault as SessionFault {
            throw SparseInferenceError.session(file: map.name, fault)
        }
    }

    /// The tokens a stored session holds, as its header says.
    ///
    /// - Parameter url: the file.
    /// - Returns: their number.
    /// - Throws: `SparseInferenceError.session` for a file that is none.
    public static func storedCount(_ url: URL) throws -> Int {
        let map = try MappedFile(contentsOf: url)
        do {
            return try SafetensorsFile(map).find("tokens").elementCount
        } catch {
            throw SparseInferenceError.session(file: map.name, .notASession(reason: "\(error)"))
        }
    }

    private var numerics: String { "\(model.precision), caches in \(cacheFormat.rawValue)" }

    private static func name(_ layer: Int, _ kind: String, _ part: Int) -> String {
        "layers.\(layer).\(kind).\(part)"
    }

    /// The modes its tokens were read in, each with the position of the first, such as `sparse from 0`.
    private var attentionText: String {
        readings.sorted { $0.value < $1.value }.map { "\($0.key.rawValue) from \($0.value)" }.joined(
            separator: ", "
        )
    }

    private func check(_ file: SafetensorsFile, _ map: MappedFile, attention: AttentionMode) throws {
        guard let version = file.metadata["session"] else {
            throw SessionFault.notASession(reason: "it says no version")
        }
        guard version == Self.version else {
            throw SessionFault.version(found: version, expected: Self.version)
        }
        guard FileDigest.isIntact(map, file.metadata["digest"] ?? "") else { throw SessionFault.damaged }
        guard try file.metadata["model"] == ModelDigest(model).text else { throw SessionFault.otherModel }
        guard file.metadata["numerics"] == numerics else {
            throw SessionFault.otherNumerics(found: file.metadata["numerics"] ?? "", expected: numerics)
        }
        // A session without tokens was read in no mode.
        let found = file.metadata["attention"] ?? ""
        guard found.isEmpty || found == "\(attention.rawValue) from 0" else {
            throw SessionFault.otherAttention(found: found, expected: attention)
        }
    }

    private func restore(from file: SafetensorsFile, attention: AttentionMode) throws {
        let stored: [Int]
        do {
            stored = try file.int32s(of: "tokens").map(Int.init)
        } catch {
            throw SessionFault.notASession(reason: "\(error)")
        }
        guard stored.allSatisfy({ (0..<model.configuration.vocabularySize).contains($0) }) else {
            throw SessionFault.notASession(reason: "a token is outside the vocabulary")
        }
        guard stored.count <= capacity else {
            throw SparseInferenceError.request(.contextTooLong(tokens: stored.count, limit: capacity))
        }
        func parts(_ layer: Int, _ kind: String) -> [UnsafeRawBufferPointer] {
            (0..<2).compactMap { file.tensors[Self.name(layer, kind, $0)].map(file.mappedBytes) }
        }
        for (layer, cache) in caches.enumerated() {
            do {
                try cache.latents.restore(parts(layer, "latents"), tokens: stored.count)
                guard cache.indexKeys.capacity > 0 else { continue }
                try cache.indexKeys.restore(parts(layer, "indexKeys"), tokens: stored.count)
            } catch {
                throw SessionFault.notASession(reason: "layer \(layer): \(error)")
            }
        }
        restored(stored, attention: attention)
    }
}

// MARK: - Digests

/// 64 bits of everything that went in, in its order.
struct Digest {
    private var state: UInt64 = 0xCBF2_9CE4_8422_2325

    /// The digest so far, as 16 hexadecimal digits.
    var text: String {
        let digits = String(mixed, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private var mixed: UInt64 {
        var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    /// Adds bytes, their number included.
    mutating func add(_ bytes: UnsafeRawBufferPointer) {
        add(UInt64(bytes.count))
        let words = bytes.count / 8
        for index in 0..<words {
            add(UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: 8 * index, as: UInt64.self)))
        }
        for index in 8 * words..<bytes.count { add(UInt64(bytes[index])) }
    }

    mutating func add(_ text: String) {
        var text = text
        text.withUTF8 { add(UnsafeRawBufferPointer($0)) }
    }

    /// One-to-one in the word for any state, so that no single changed word goes unseen.
    private mutating func add(_ word: UInt64) {
        state = (state ^ word) &* 0x9E37_79B9_7F4A_7C15
        state = state << 29 | state >> 35
    }
}

/// What tells a model from others: its configuration, and of every tensor name, shape, place and first bytes.
private struct ModelDigest {
    let text: String

    private static let sample = 64

    init(_ model: LanguageModel) throws {
        var digest = Digest()
        let configuration = try Data(contentsOf: model.folder.appendingPathComponent("config.json"))
        configuration.withUnsafeBytes { digest.add($0) }
        for name in model.checkpoint.names {
            guard let entry = model.checkpoint.entry(name) else { continue }
            digest.add("\(name) \(entry.dataType.rawValue) \(entry.shape)")
            let bytes = model.checkpoint.mappedBytes(of: entry)
            digest.add(UnsafeRawBufferPointer(rebasing: bytes.prefix(Self.sample)))
            digest.add(UnsafeRawBufferPointer(rebasing: bytes.suffix(Self.sample)))
        }
        text = digest.text
    }
}

/// The digest of a file that stands in the file itself: it is taken with zeros in its place.
private enum FileDigest {
    static let blank = String(repeating: "0", count: 16)
    private static let key = Array("\"digest\":\"".utf8)

    /// Where the digits stand, in the header.
    private static func place(_ bytes: UnsafeRawBufferPointer) -> Range<Int>? {
        let header = bytes.prefix(4096)
        guard let key = header.firstRange(of: key), key.upperBound + blank.count <= bytes.count else {
            return nil
        }
        return key.upperBound..<key.upperBound + blank.count
    }

    private static func digest(_ bytes: UnsafeRawBufferPointer, without place: Range<Int>) -> String {
        var digest = Digest()
        digest.add(UnsafeRawBufferPointer(rebasing: bytes[..<place.lowerBound]))
        digest.add(UnsafeRawBufferPointer(rebasing: bytes[place.upperBound...]))
        return digest.text
    }

    /// Puts a file's digest into it.
    static func stamp(_ url: URL) throws {
        let map = try MappedFile(contentsOf: url)
        guard let place = place(map.bytes) else { return }
        let text = digest(map.bytes, without: place)
        let handle = try FileHandle(forWritingTo: url)
        defer { try? handle.close() }
        try handle.seek(toOffset: UInt64(place.lowerBound))
        try handle.write(contentsOf: Data(text.utf8))
    }

    static func isIntact(_ file: MappedFile, _ stated: String) -> Bool {
        guard let place = place(file.bytes) else { return false }
        return digest(file.bytes, without: place) == stated
    }
}

package import Foundation

/// The bytes of a file, mapped into memory to be read, or bytes in memory that stand for a file's.
///
/// The map lives as long as the object. Nobody may shorten the file meanwhile: the system answers a read
/// beyond its end by ending the process.
package final class MappedFile: @unchecked Sendable {
    // Sendable: the bytes are there for reading alone, and nothing changes between init and deinit.

    /// The file's name, without the path that leads to it.
    package let name: String

    /// Every byte of the file; valid while this object lives.
    package let bytes: UnsafeRawBufferPointer

    /// How many bytes the file has.
    package var byteCount: Int { bytes.count }

    /// Whether the bytes are pages of a file, rather than memory of its own.
    private let isMapped: Bool

    /// Maps a regular file, also one behind symbolic links.
    ///
    /// - Parameter url: where the file is.
    /// - Throws: `SparseInferenceError.checkpoint` when there is no such file, when it is a folder, a device
    ///   or a pipe, or when the system refuses.
    package init(contentsOf url: URL) throws(SparseInferenceError) {
        name = url.lastPathComponent
        do {
            bytes = try MappedFile.map(url)
            isMapped = true
        } catch {
            throw .checkpoint(file: url.lastPathComponent, error)
        }
    }

    /// Keeps a copy of bytes that lie in no file.
    ///
    /// - Parameters:
    ///   - bytes: what the file would hold.
    ///   - name: what errors call it.
    package init(copying bytes: UnsafeRawBufferPointer, name: String) {
        self.name = name
        // As many bytes as there are, and no alignment: a read beyond them is one that a sanitizer sees.
        let copy = UnsafeMutableRawBufferPointer.allocate(byteCount: bytes.count, alignment: 1)
        copy.copyMemory(from: bytes)
        self.bytes = UnsafeRawBufferPointer(copy)
        isMapped = false
    }

    deinit {
        guard isMapped else { return bytes.deallocate() }
        if let base = bytes.baseAddress {
            munmap(UnsafeMutableRawPointer(mutating: base), bytes.count)
        }
    }

    private static func map(_ url: URL) throws(CheckpointFault) -> UnsafeRawBufferPointer {
        // Without O_NONBLOCK, opening a pipe nobody writes to would wait forever.
        let descriptor = url.withUnsafeFileSystemRepresentation { path in
            path.map { open($0, O_RDONLY | O_NONBLOCK | O_CLOEXEC) }
        }
        guard let descriptor else { throw .missingFile }
        guard descriptor >= 0 else {
            let code = errno
            throw code == ENOENT || code == ENOTDIR ? .missingFile : .unreadable(code: code)
        }
        defer { close(descriptor) }

        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .unreadable(code: errno) }
        guard status.st_mode & S_IFMT == S_IFREG else { throw .notRegularFile }
        guard let byteCount = Int(exactly: status.st_size), byteCount >= 0 else {
            throw .unreadable(code: EFBIG)
        }
        // The system maps no empty range.
        guard byteCount > 0 else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        let base = mmap(nil, byteCount, PROT_READ, MAP_PRIVATE, descriptor, 0)
        guard let base, base != MAP_FAILED else { throw .unreadable(code: errno) }
        return UnsafeRawBufferPointer(start: base, count: byteCount)
    }
}

// MARK: - JSON files

extension MappedFile {
    /// A copy of a small file's bytes.
    ///
    /// - Parameters:
    ///   - url: where the file is.
    ///   - limit: the size in bytes beyond which the file is refused unread.
    /// - Returns: all of them.
    /// - Throws: `SparseInferenceError.checkpoint` when the file cannot be read or is larger than `limit`.
    static func bytes(of url: URL, limit: Int) throws(SparseInferenceError) -> [UInt8] {
        let file = try MappedFile(contentsOf: url)
        guard file.byteCount <= limit else {
            throw .checkpoint(file: file.name, .fileTooLarge(byteCount: file.byteCount, limit: limit))
        }
        return withExtendedLifetime(file) { Array(file.bytes) }
    }
}

extension JSONValue {
    /// Reads a JSON file strictly.
    ///
    /// - Parameters:
    ///   - url: where the file is.
    ///   - limit: the size in bytes beyond which the file is refused unread.
    ///   - dialect: whether numbers that are not finite may be written.
    /// - Throws: `SparseInferenceError.checkpoint` when the file cannot be read or is larger than `limit`;
    ///   `SparseInferenceError.malformedJSON` when it is not strict JSON.
    package init(
        contentsOf url: URL,
        limit: Int,
        dialect: JSONDialect = .strict
    ) throws(SparseInferenceError) {
        let bytes = try MappedFile.bytes(of: url, limit: limit)
        do {
            try self.init(parsing: bytes, dialect: dialect)
        } catch {
            throw .malformedJSON(file: url.lastPathComponent, error)
        }
    }
}

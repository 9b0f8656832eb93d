import Foundation

/// Owns a block of memory that starts on a cache line.
///
/// The operating system commits a large block page by page as it is first written, so a buffer made
/// for many tokens costs memory only for those that arrived.
package final class AlignedBuffer: @unchecked Sendable {
    // Sendable: the class itself never touches the bytes; `Tensor` writes only when it holds the sole
    // reference, and a cache is noncopyable.

    /// The first byte, aligned to `alignment`.
    package let base: UnsafeMutableRawPointer

    /// The number of usable bytes.
    package let byteCount: Int

    /// A cache line, and the width of the widest vector register.
    package static let alignment = 64

    /// Reserves memory; its contents are unspecified, NaN in debug builds.
    ///
    /// - Parameters:
    ///   - byteCount: at least 0.
    ///   - poisoned: fill with the bytes 0xFF (a NaN in every float format), so that a stray read shows.
    package init(byteCount: Int, poisoned: Bool) {
        self.byteCount = byteCount
        let reserved = max(byteCount, 1) + (Self.alignment - 1) & ~(Self.alignment - 1)
        base = UnsafeMutableRawPointer.allocate(byteCount: reserved, alignment: Self.alignment)
        if poisoned {
            memset(base, 0xFF, reserved)
        }
    }

    deinit {
        base.deallocate()
    }

    /// Whether fresh buffers are filled with NaN: in debug builds, which the tests run.
    package static var poisonsFreshMemory: Bool {
        #if DEBUG
            true
        #else
            false
        #endif
    }

    /// Refuses a block larger than the machine's memory.
    ///
    /// - Throws: `SparseAttentionError.insufficientMemory` with both sizes.
    package static func checkAvailable(byteCount: Int) throws(SparseAttentionError) {
        let available = Int(clamping: ProcessInfo.processInfo.physicalMemory)
        guard byteCount <= available else {
            throw .insufficientMemory(requested: byteCount, available: available)
        }
    }
}

import Foundation

/// Whether the calling thread computes tiles of a parallel region: what it comes to is its own to do.
enum Region {
    /// Set to anything inside a region.
    private static let key = {
        var key = pthread_key_t()
        // It fails only when a process has used up its keys; then no region counts as inside another.
        return pthread_key_create(&key, nil) == 0 ? key : nil
    }()

    static var isInside: Bool {
        key.map { pthread_getspecific($0) != nil } ?? false
    }

    /// Runs a thread's part of a region.
    static func enter(_ body: () -> Void) {
        guard let key else { return body() }
        pthread_setspecific(key, UnsafeRawPointer(bitPattern: 1))
        body()
        pthread_setspecific(key, nil)
    }
}

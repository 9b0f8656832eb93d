/// How much may be done at the same time when several prompts are continued.
public struct BatchLimits: Equatable, Sendable {
    /// The most sequences in progress.
    public var sequences: Int
    /// The most bytes their caches may take together; nil for as many as there are.
    public var cacheBytes: Int?

    /// Limits.
    public init(sequences: Int = 8, cacheBytes: Int? = nil) {
        self.sequences = sequences
        self.cacheBytes = cacheBytes
    }

    /// - Throws: `SparseInferenceError.request` naming the limit that is out of range.
    func validate() throws {
        guard (1...1024).contains(sequences) else {
            throw SparseInferenceError.request(
                .invalidOption("sequences", found: "\(sequences)", expected: "1 to 1024")
            )
        }
        guard (cacheBytes ?? 1) >= 1 else {
            throw SparseInferenceError.request(
                .invalidOption("cacheBytes", found: "\(cacheBytes ?? 0)", expected: "at least 1")
            )
        }
    }
}

/// A piece of one of several continuations.
public struct BatchPiece: Equatable, Sendable {
    /// Which prompt it continues, from 0.
    public let prompt: Int
    /// The token, and the text that became certain with it.
    public let piece: GeneratedPiece
}

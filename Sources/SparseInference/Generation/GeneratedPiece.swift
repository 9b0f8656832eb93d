/// One token of a continuation, with the text that became certain with it.
public struct GeneratedPiece: Equatable, Sendable {
    /// The token.
    public let token: Int
    /// The text, whole characters only: empty while a character is incomplete.
    public let text: String
    /// Whether it ends the continuation.
    public let isLast: Bool
    /// The work done so far.
    public let statistics: GenerationStatistics
}

/// What a generation has done, and how long it took.
public struct GenerationStatistics: Equatable, Sendable {
    /// The tokens of the prompt.
    public internal(set) var promptTokens = 0
    /// The tokens generated, an end-of-sequence token included.
    public internal(set) var generatedTokens = 0
    /// Seconds spent on the prompt.
    public internal(set) var prefillSeconds = 0.0
    /// Seconds spent on generated tokens after the first.
    public internal(set) var decodeSeconds = 0.0
    /// Tokens guessed.
    public internal(set) var draftedTokens = 0
    /// Tokens guessed right.
    public internal(set) var acceptedTokens = 0
    /// Bytes the tokens so far take in all caches.
    public internal(set) var cacheBytes = 0

    /// Tokens of the prompt run each second.
    public var prefillRate: Double { prefillSeconds > 0 ? Double(promptTokens) / prefillSeconds : 0 }
    /// Tokens generated each second after the first, which the prompt pays for.
    public var decodeRate: Double { decodeSeconds > 0 ? Double(generatedTokens - 1) / decodeSeconds : 0 }
}

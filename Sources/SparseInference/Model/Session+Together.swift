public import SparseAttention

// MARK: - Several sessions

extension Session {
    /// Appends tokens to several sessions in one pass over the model's weights, and returns the logits behind each token.
    ///
    /// Each session gets the numbers it gets alone, bit for bit. On an error all are as they were.
    ///
    /// - Parameters:
    ///   - sessions: different ones, all of one model.
    ///   - tokens: for each session at least one.
    ///   - attention: which tokens the attention sees.
    /// - Returns: for each session `[tokens, vocabularySize]`.
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be appended.
    public static func extend(
        _ sessions: [Session],
        by tokens: [[Int]],
        attention: AttentionMode = .sparse
    ) throws -> [Tensor] {
        try step(sessions, by: tokens, attention: attention).map(\.logits)
    }

    /// What new tokens gave.
    struct Step: Sendable {
        /// The residual stream behind each, after the final normalisation, `[tokens, hiddenDim]`.
        let hidden: Tensor
        /// The logits that follow each, `[tokens, vocabularySize]`.
        let logits: Tensor
    }

    /// The same with what each token left in the residual stream.
    static func step(_ sessions: [Session], by tokens: [[Int]], attention: AttentionMode) throws -> [Step] {
        try validate(sessions, tokens)
        let counts = sessions.map(\.count)
        do {
            return try run(sessions, tokens, attention)
        } catch {
            for (session, count) in zip(sessions, counts) { try session.restore(to: count) }
            throw error
        }
    }

    private static func validate(_ sessions: [Session], _ tokens: [[Int]]) throws {
        func refuse(_ found: String, expected: String) -> SparseInferenceError {
            .request(.invalidOption("sessions", found: found, expected: expected))
        }
        guard sessions.count == tokens.count else {
            throw refuse("\(sessions.count)", expected: "\(tokens.count), as many as runs of tokens")
        }
        guard Set(sessions.map(ObjectIdentifier.init)).count == sessions.count else {
            throw refuse("one of them twice", expected: "each once")
        }
        guard Set(sessions.map { ObjectIdentifier($0.model.checkpoint) }).count <= 1,
            Set(sessions.map(\.model.precision.description)).count <= 1
        else {
            throw refuse("those of several models", expected: "those of one")
        }
        for (session, tokens) in zip(sessions, tokens) { try session.validate(tokens, chunk: 1) }
    }

    private static func run(_ sessions: [Session], _ tokens: [[Int]], _ attention: AttentionMode) throws
        -> [Step]
    {
        guard let model = sessions.first?.model else { return [] }
        let new = zip(sessions, tokens).map {
            NewTokens(tokens: $1[...], position: $0.count, caches: $0.caches)
        }
        let steps = try model.run(new, attention: attention)
        for (session, tokens) in zip(sessions, tokens) {
            session.noteReading(attention)
            session.tokens += tokens
        }
        return steps
    }
}

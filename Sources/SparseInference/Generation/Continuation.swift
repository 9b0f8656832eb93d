import SparseAttention

/// Continues a session token by token, on the caller's thread.
package struct Continuation {
    private let session: Session
    private let prompt: [Int]
    private var state: GenerationState
    private var hasFailed = false

    /// A continuation of what a session holds and a prompt behind it.
    ///
    /// - Parameters:
    ///   - session: has room for the prompt and `maxTokens` more.
    ///   - prompt: at least one token.
    ///   - options: how to generate.
    /// - Throws: `SparseInferenceError.request` for an option out of range.
    package init(_ session: Session, prompt: [Int], options: GenerationOptions) throws {
        self.session = session
        self.prompt = prompt
        state = try GenerationState(session.model, options: options)
    }

    /// The next piece; nil at the end.
    ///
    /// - Parameter progress: called with the number of prompt tokens done after each chunk; may throw to stop.
    /// - Returns: a token, and the text that became certain with it.
    /// - Throws: `SparseInferenceError`, or what `progress` throws; then there is no next piece.
    package mutating func next(progress: (Int) throws -> Void = { _ in }) throws -> GeneratedPiece? {
        guard !state.isFinished, !hasFailed else { return nil }
        hasFailed = true
        let piece = try state.nextPiece(in: session) ?? advanced(progress)
        hasFailed = false
        return piece
    }

    /// Runs the prompt, or what the state proposes, and tells the first token chosen.
    private mutating func advanced(_ progress: (Int) throws -> Void) throws -> GeneratedPiece? {
        if state.hasBegun {
            let proposal = try state.proposal(in: session)
            let start = ContinuousClock.now
            let step = try session.step(proposal, attention: state.options.attention)
            try state.accept(step, in: session, seconds: (ContinuousClock.now - start) / .seconds(1))
        } else {
            try state.begin(prompt, in: session, progress: progress)
        }
        return try state.nextPiece(in: session)
    }
}

import SparseAttention

/// Continues a session token by token, on the caller's thread.
package struct Continuation {
    private let session: Session
    private let options: GenerationOptions
    private let prompt: [Int]
    private var sampler: Sampler
    private var decoder: StreamingDecoder?
    private var lastToken: Int?
    private var chosen: [Int] = []  // guessed right, and not told yet
    private var isFinished = false
    private var statistics = GenerationStatistics()

    /// A continuation of what a session holds and a prompt behind it.
    ///
    /// - Parameters:
    ///   - session: has room for the prompt and `maxTokens` more.
    ///   - prompt: at least one token.
    ///   - options: how to generate.
    /// - Throws: `SparseInferenceError.request` for an option out of range.
    package init(_ session: Session, prompt: [Int], options: GenerationOptions) throws {
        try options.validate()
        self.session = session
        self.prompt = prompt
        self.options = options
        sampler = Sampler(options.sampling)
        decoder = session.model.tokenizer.map { StreamingDecoder($0) }
        statistics.promptTokens = prompt.count
    }

    /// The next piece; nil at the end.
    ///
    /// - Parameter progress: called with the number of prompt tokens done after each chunk; may throw to stop.
    /// - Returns: a token, and the text that became certain with it.
    /// - Throws: `SparseInferenceError`, or what `progress` throws; then there is no next piece.
    package mutating func next(progress: (Int) throws -> Void = { _ in }) throws -> GeneratedPiece? {
        guard !isFinished else { return nil }
        isFinished = true
        if !chosen.isEmpty { return try piece(for: chosen.removeFirst()) }
        if let lastToken, options.draftTokens > 0, let token = try speculate(behind: lastToken) {
            return try piece(for: token)
        }
        let logits = try advance(progress)
        guard logits.allSatisfy(\.isFinite) else {
            throw SparseInferenceError.request(.nonFiniteLogits(position: session.count - 1))
        }
        return try piece(for: sampler.choose(logits))
    }

    /// Runs the prompt, or the last token, and returns the logits that follow.
    private mutating func advance(_ progress: (Int) throws -> Void) throws -> [Float] {
        let start = ContinuousClock.now
        guard let lastToken else {
            let logits = try session.extend(
                by: prompt,
                attention: options.attention,
                chunk: options.chunk,
                progress: progress
            )
            statistics.prefillSeconds = (ContinuousClock.now - start) / .seconds(1)
            return logits.elements
        }
        let logits = try session.extend(by: [lastToken], attention: options.attention)
        statistics.decodeSeconds += (ContinuousClock.now - start) / .seconds(1)
        return logits.elements
    }

    /// Runs the last token with a guess behind it; nil when there is none to make.
    private mutating func speculate(behind lastToken: Int) throws -> Int? {
        let start = ContinuousClock.now
        let room = min(session.capacity - session.count, options.maxTokens - statistics.generatedTokens) - 1
        let draft = PromptLookup(limit: min(options.draftTokens, max(room, 0))).guess(
            session.tokens + [lastToken]
        )
        guard !draft.isEmpty else { return nil }
        let before = session.count
        let logits = try session.extendWithAllLogits(
            by: [lastToken] + draft,
            options: ForwardOptions(attention: options.attention)
        )
        var right = 0
        for row in 0...draft.count {
            let line = try logits.slice(row..<row + 1).elements
            guard line.allSatisfy(\.isFinite) else {
                throw SparseInferenceError.request(.nonFiniteLogits(position: before + row))
            }
            chosen.append(sampler.choose(line))
            guard row < draft.count, chosen[row] == draft[row] else { break }
            right += 1
        }
        // What was guessed wrong has never been read.
        try session.truncate(to: before + 1 + right)
        statistics.draftedTokens += draft.count
        statistics.acceptedTokens += right
        statistics.decodeSeconds += (ContinuousClock.now - start) / .seconds(1)
        return chosen.removeFirst()
    }

    private mutating func piece(for token: Int) throws -> GeneratedPiece {
        lastToken = token
        statistics.generatedTokens += 1
        statistics.cacheBytes = session.count * session.bytesPerToken
        let isEnd = options.stopsAtEnd && session.model.endTokens.contains(token)
        isFinished = isEnd || statistics.generatedTokens >= options.maxTokens
        // The vocabulary of a model may be larger than its tokenizer's: such a token has no text.
        var text = isEnd ? "" : try decoder?.text(of: token) ?? ""
        if isFinished { text.unicodeScalars += (decoder?.finish() ?? "").unicodeScalars }
        return GeneratedPiece(token: token, text: text, statistics: statistics)
    }
}

extension StreamingDecoder {
    /// The text that becomes certain with a token; none for a token the tokenizer does not know.
    fileprivate mutating func text(of token: Int) throws -> String {
        do {
            return try append(token)
        } catch SparseInferenceError.tokenizer(_, .unknownID) {
            return ""
        }
    }
}

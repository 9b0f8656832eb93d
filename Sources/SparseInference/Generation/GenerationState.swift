import SparseAttention

/// How far a continuation has come: what was chosen, and how the next token is.
///
/// The session it belongs to stays with the caller, who may run it alone or with others.
struct GenerationState {
    let options: GenerationOptions
    private(set) var statistics = GenerationStatistics()
    private(set) var isFinished = false

    private let endTokens: Set<Int>
    private var sampler: Sampler
    private var decoder: StreamingDecoder?
    private var drafter = Drafter.none
    private var lastToken: Int?
    private var chosen: [Int] = []  // and not told yet
    private var draft: [Int] = []  // behind the last token, not judged yet

    /// - Throws: `SparseInferenceError.request` for an option out of range.
    init(_ model: LanguageModel, options: GenerationOptions) throws {
        try options.validate()
        self.options = options
        endTokens = model.endTokens
        sampler = Sampler(options.sampling)
        decoder = model.tokenizer.map { StreamingDecoder($0) }
    }

    /// Whether the prompt has been read.
    var hasBegun: Bool { lastToken != nil || !chosen.isEmpty }

    /// Reads the prompt and chooses the first token.
    ///
    /// - Parameters:
    ///   - prompt: at least one token, behind what the session holds.
    ///   - promptTokens: what to count as the prompt; its own tokens when nil.
    ///   - session: has room for the prompt and `maxTokens` more.
    ///   - progress: called with the number of tokens done after each chunk; may throw to stop.
    /// - Throws: `SparseInferenceError`, or what `progress` throws.
    mutating func begin(
        _ prompt: [Int],
        promptTokens: Int? = nil,
        in session: Session,
        progress: (Int) throws -> Void
    ) throws {
        let start = ContinuousClock.now
        drafter = try Drafter(for: session, options: options)
        statistics.promptTokens = promptTokens ?? prompt.count
        let logits = try read(prompt, in: session, progress: progress)
        statistics.prefillSeconds = (ContinuousClock.now - start) / .seconds(1)
        try choose(from: logits, after: session.count - 1)
    }

    /// The tokens to run next: the last one chosen, and guesses behind it.
    ///
    /// - Precondition: everything chosen has been told.
    mutating func proposal(in session: Session) throws -> [Int] {
        guard let lastToken else { return [] }
        let start = ContinuousClock.now
        let room = min(session.capacity - session.count, options.maxTokens - statistics.generatedTokens) - 1
        draft = try drafter.guess(
            behind: lastToken,
            in: session,
            limit: min(options.draftTokens, max(room, 0))
        )
        statistics.decodeSeconds += (ContinuousClock.now - start) / .seconds(1)
        return [lastToken] + draft
    }

    /// Chooses tokens after the proposal has been run, as far as the guesses were right, and forgets the wrong ones.
    ///
    /// - Parameters:
    ///   - step: what the proposal gave.
    ///   - session: holds the proposal.
    ///   - seconds: what running it took.
    /// - Throws: `SparseInferenceError.request` for logits that are no numbers.
    mutating func accept(_ step: Session.Step, in session: Session, seconds: Double) throws {
        let before = session.count - 1 - draft.count
        var right = 0
        for row in 0...draft.count {
            try choose(from: step.logits.slice(row..<row + 1), after: before + row)
            guard row < draft.count, chosen.last == draft[row] else { break }
            right += 1
        }
        // What was guessed wrong has never been read.
        try session.truncate(to: before + 1 + right)
        try drafter.read(session.tokens[before...], hidden: step.hidden.slice(0..<1 + right))
        statistics.draftedTokens += draft.count
        statistics.acceptedTokens += right
        statistics.decodeSeconds += seconds
        draft = []
    }

    /// The next piece of what has been chosen; nil when more has to be run, or at the end.
    mutating func nextPiece(in session: Session) throws -> GeneratedPiece? {
        guard !isFinished, !chosen.isEmpty else { return nil }
        let token = chosen.removeFirst()
        lastToken = token
        statistics.generatedTokens += 1
        statistics.cacheBytes = session.count * session.bytesPerToken
        let isEnd = options.stopsAtEnd && endTokens.contains(token)
        isFinished = isEnd || statistics.generatedTokens >= options.maxTokens
        // The vocabulary of a model may be larger than its tokenizer's: such a token has no text.
        var text = isEnd ? "" : try decoder?.text(of: token) ?? ""
        if isFinished { text.unicodeScalars += (decoder?.finish() ?? "").unicodeScalars }
        return GeneratedPiece(token: token, text: text, isLast: isFinished, statistics: statistics)
    }

    /// Reads again what a session held before it was given up, the way it was read the first time.
    ///
    /// - Parameters:
    ///   - tokens: what it held: the prompt, and tokens chosen behind it.
    ///   - session: a new one, or one that shares a beginning of whole chunks.
    ///   - progress: called after each chunk; may throw to stop.
    /// - Throws: `SparseInferenceError`, or what `progress` throws.
    mutating func resume(_ tokens: [Int], in session: Session, progress: (Int) throws -> Void) throws {
        drafter = try Drafter(for: session, options: options)
        _ = try read(
            Array(tokens[session.count..<statistics.promptTokens]),
            in: session,
            progress: progress
        )
        for token in tokens[statistics.promptTokens...] {
            let step = try session.step([token], attention: options.attention)
            try drafter.read([token], hidden: step.hidden)
            try progress(session.count)
        }
    }

    /// Reads tokens chunk by chunk and gives the logits behind the last.
    private mutating func read(_ tokens: [Int], in session: Session, progress: (Int) throws -> Void) throws
        -> Tensor
    {
        var (last, done) = (Tensor?.none, 0)
        try session.extend(
            by: tokens,
            options: ForwardOptions(attention: options.attention),
            chunk: options.chunk
        ) { hidden, end in
            try drafter.read(tokens[done..<end], hidden: hidden)
            done = end
            last = try hidden.slice(hidden.shape[0] - 1..<hidden.shape[0])
            try progress(end)
        }
        guard let last else { throw SparseInferenceError.request(.emptyPrompt) }
        return session.model.logits(last)
    }

    private mutating func choose(from logits: Tensor, after position: Int) throws {
        let logits = logits.elements
        guard logits.allSatisfy(\.isFinite) else {
            throw SparseInferenceError.request(.nonFiniteLogits(position: position))
        }
        chosen.append(sampler.choose(logits))
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

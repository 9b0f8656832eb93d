import SparseAttention

/// Guesses tokens ahead of the model, which then looks at all of them at once.
enum Drafter {
    /// Guesses nothing.
    case none
    /// Guesses what followed the last tokens when the text said them before.
    case lookup
    /// Guesses with the model's prediction layer.
    case prediction(PredictionDraft)

    /// The best there is: the prediction layer where the checkpoint has one and sees the text from its beginning.
    ///
    /// - Throws: `SparseInferenceError.checkpoint` for a prediction layer that lacks a part.
    init(for session: Session, options: GenerationOptions) throws {
        guard options.draftTokens > 0 else {
            self = .none
            return
        }
        guard session.count == 0, let layer = try session.model.predictionLayer() else {
            self = .lookup
            return
        }
        self = .prediction(try PredictionDraft(layer, for: session, attention: options.attention))
    }

    /// Takes note of tokens a session has read.
    ///
    /// - Parameters:
    ///   - tokens: the new ones.
    ///   - hidden: the residual stream behind each, after the final normalisation, `[tokens, hiddenDim]`.
    /// - Throws: `SparseAttentionError`.
    mutating func read(_ tokens: ArraySlice<Int>, hidden: Tensor) throws {
        guard case .prediction(var draft) = self else { return }
        try draft.read(tokens, hidden: hidden)
        self = .prediction(draft)
    }

    /// At most `limit` tokens that may follow what a session has read and one token more.
    mutating func guess(behind token: Int, in session: Session, limit: Int) throws -> [Int] {
        guard limit > 0 else { return [] }
        switch self {
        case .none: return []
        case .lookup: return PromptLookup(limit: limit).guess(session.tokens + [token])
        case .prediction(let draft): return try draft.guess(behind: token, limit: limit)
        }
    }
}

/// Guesses with a prediction layer, whose caches follow those of the model one token behind.
///
/// Further tokens are guessed from the layer's own hidden state, as if it were the model's.
struct PredictionDraft {
    private let layer: PredictionLayer
    private let cache: LayerCache
    private let attention: AttentionMode
    private var read = 0  // tokens of the session
    private var last: Tensor?  // [1, hiddenDim], behind the last of them

    init(_ layer: PredictionLayer, for session: Session, attention: AttentionMode) throws {
        self.layer = layer
        self.attention = attention
        let model = session.model
        cache = try LayerCache(
            configuration: model.configuration,
            layer: model.configuration.layers,
            capacity: session.capacity + GenerationOptions.mostDraftTokens,
            format: session.cacheFormat,
            indexScores: model.arithmetic.indexScores
        )
    }

    /// Runs the rows whose next token is known by now.
    mutating func read(_ tokens: ArraySlice<Int>, hidden: Tensor) throws {
        let count = tokens.count
        // Row i joins token i with token i + 1; a guess has run the last row already, or nobody has.
        let isRun = cache.latents.count == read
        if let last, !isRun {
            let rows = try Tensor(joining: [last, hidden.slice(0..<count - 1)])
            _ = try layer(Array(tokens), hidden: rows, cache: cache, attention: attention)
        } else if count > 1 {
            let rows = try hidden.slice(0..<count - 1)
            _ = try layer(Array(tokens.dropFirst()), hidden: rows, cache: cache, attention: attention)
        }
        last = try hidden.slice(count - 1..<count)
        read += count
    }

    /// Guesses what follows the tokens that were read and one more, which has to be the next one read.
    func guess(behind token: Int, limit: Int) throws -> [Int] {
        guard var hidden = last else { return [] }
        let isRun = cache.latents.count == read
        guard !isRun else { return [] }
        var (guesses, sampler) = ([Int](), Sampler(.greedy))
        while guesses.count < limit {
            hidden = try layer([guesses.last ?? token], hidden: hidden, cache: cache, attention: attention)
            let logits = layer.logits(hidden).elements
            guard logits.allSatisfy(\.isFinite) else { break }
            guesses.append(sampler.choose(logits))
        }
        // Rows behind the first rest on guesses.
        try cache.latents.truncate(to: read)
        try cache.indexKeys.truncate(to: min(read, cache.indexKeys.count))
        return guesses
    }
}

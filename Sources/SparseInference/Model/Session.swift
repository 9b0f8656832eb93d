public import SparseAttention

/// One sequence in progress: its caches, and the position it has reached.
///
/// Not for use from two tasks at once.
public final class Session {
    /// The model the sequence runs on.
    public let model: LanguageModel
    /// The most tokens the sequence can hold.
    public let capacity: Int
    /// The tokens it holds.
    public internal(set) var tokens: [Int] = []
    /// How many they are.
    public var count: Int { tokens.count }
    /// How latents and index keys are stored.
    public let cacheFormat: CacheFormat

    let caches: [LayerCache]
    /// Where the first token stands that was read in each mode; behind `count` when it has been forgotten.
    private var firstRead: [AttentionMode: Int] = [:]

    /// Tokens a prompt is prefilled by at a time, unless the caller says otherwise.
    ///
    /// Large enough for matrix products to run near their peak, small enough for a chunk's working memory to
    /// stay in the megabytes.
    public static let defaultChunk = 256

    /// Begins a sequence.
    ///
    /// - Parameters:
    ///   - model: the model to run.
    ///   - capacity: the most tokens it will hold, at most the model's own limit. Memory is taken as they arrive.
    ///   - cacheFormat: how latents and index keys are stored, nil for what the model's precision says; a precision that
    ///     scores FP8 codes keeps those instead of index keys.
    /// - Throws: `SparseInferenceError.request` or `SparseAttentionError`.
    public init(_ model: LanguageModel, capacity: Int, cacheFormat: CacheFormat? = nil) throws {
        let limit = model.configuration.maxPositions
        guard (1...limit).contains(capacity) else {
            throw SparseInferenceError.request(.contextTooLong(tokens: capacity, limit: limit))
        }
        self.model = model
        self.capacity = capacity
        let format = cacheFormat ?? model.precision.cacheFormat
        self.cacheFormat = format
        caches = try (0..<model.configuration.layers).map { layer in
            try LayerCache(
                configuration: model.configuration,
                layer: layer,
                capacity: capacity,
                format: format,
                indexScores: model.arithmetic.indexScores
            )
        }
        let bytes = capacity * bytesPerToken
        try AlignedBuffer.checkAvailable(byteCount: bytes)
    }

    /// Begins a sequence with the first tokens of another, which need not be run again.
    ///
    /// - Parameters:
    ///   - other: stays as it is.
    ///   - length: how many of its tokens to take; all when nil.
    ///   - capacity: the most tokens it will hold.
    /// - Throws: `SparseAttentionError.positionOutOfRange` when the other holds fewer; as the other initialiser.
    public convenience init(copying other: Session, upTo length: Int? = nil, capacity: Int) throws {
        try self.init(other.model, capacity: capacity, cacheFormat: other.cacheFormat)
        let length = length ?? other.count
        for (cache, source) in zip(caches, other.caches) { try cache.restore(length, of: source) }
        tokens = Array(other.tokens[..<length])
        firstRead = other.firstRead
    }

    /// The bytes one token takes in all caches.
    public var bytesPerToken: Int { caches.reduce(0) { $0 + $1.bytesPerToken } }

    /// Forgets every token from `length` on.
    ///
    /// - Throws: `SparseAttentionError.positionOutOfRange` when it holds fewer.
    public func truncate(to length: Int) throws {
        guard (0...count).contains(length) else {
            throw SparseAttentionError.positionOutOfRange(position: length, allowed: 0..<count + 1)
        }
        for cache in caches {
            try cache.truncate(to: length)
        }
        tokens.removeSubrange(length...)
    }

    /// Forgets everything behind the longest common beginning with other tokens, so that those can go on from there.
    ///
    /// - Parameters:
    ///   - prompt: at least one token.
    ///   - attention: the mode it shall be read in; what was read in the other one is forgotten, too.
    /// - Returns: the tokens of it that have to be run: at least the last, whose logits are needed.
    /// - Throws: `SparseInferenceError.request` for a prompt without tokens.
    public func rewind(to prompt: [Int], attention: AttentionMode = .sparse) throws -> ArraySlice<Int> {
        guard !prompt.isEmpty else { throw SparseInferenceError.request(.emptyPrompt) }
        let shared = zip(tokens, prompt).prefix { $0 == $1 }.count
        let other = readings.filter { $0.key != effective(attention) }.values.min() ?? count
        let kept = min(shared, prompt.count - 1, other)
        try truncate(to: kept)
        return prompt[kept...]
    }

    /// Holds the tokens whose rows have been put into the caches, all of them read in one mode.
    func restored(_ tokens: [Int], attention: AttentionMode) {
        self.tokens = tokens
        firstRead = [effective(attention): 0]
    }
}

// MARK: - Modes

extension Session {
    /// The modes its tokens were read in: none before the first token, both when it was asked for one after the other.
    ///
    /// Without an indexer both modes are the dense one. What was read in one is not what the other computes: a row of the
    /// caches holds what its token attended to in all layers below.
    public var attentionModes: Set<AttentionMode> { Set(readings.keys) }

    /// Where the first token stands that was read in each mode, of those it holds.
    var readings: [AttentionMode: Int] { firstRead.filter { $0.value < count } }

    /// Remembers that tokens are read in a mode from here on.
    func noteReading(_ attention: AttentionMode) {
        let mode = effective(attention)
        if firstRead[mode].map({ $0 >= count }) ?? true { firstRead[mode] = count }
    }

    /// The mode a model without an indexer reads in, whichever it is asked for.
    func effective(_ attention: AttentionMode) -> AttentionMode {
        model.configuration.indexer == nil ? .dense : attention
    }
}

// MARK: - Extending

extension Session {
    /// Appends tokens and returns the logits that follow the last one.
    ///
    /// On an error the sequence is as it was before the call.
    ///
    /// - Parameters:
    ///   - tokens: at least one.
    ///   - attention: which tokens the attention sees.
    ///   - chunk: how many tokens to run at a time.
    ///   - progress: called with the number of tokens done after each chunk; may throw to stop.
    /// - Returns: `[vocabularySize]`.
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be appended.
    public func extend(
        by tokens: [Int],
        attention: AttentionMode = .sparse,
        chunk: Int = Session.defaultChunk,
        progress: (Int) throws -> Void = { _ in }
    ) throws -> Tensor {
        var last: Tensor?
        try extend(by: tokens, options: ForwardOptions(attention: attention), chunk: chunk) { hidden, done in
            if done == tokens.count {
                last = try hidden.slice(hidden.shape[0] - 1..<hidden.shape[0])
            }
            try progress(done)
        }
        guard let last else { throw SparseInferenceError.request(.emptyPrompt) }
        return try model.logits(last).reshaped([model.configuration.vocabularySize])
    }

    /// Appends tokens and returns the logits that follow each of them.
    ///
    /// - Parameters:
    ///   - tokens: at least one.
    ///   - options: how to compute.
    ///   - chunk: how many tokens to run at a time.
    /// - Returns: `[tokens, vocabularySize]`.
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be appended.
    package func extendWithAllLogits(
        by tokens: [Int],
        options: ForwardOptions = ForwardOptions(),
        chunk: Int = Session.defaultChunk
    ) throws -> Tensor {
        let vocabulary = model.configuration.vocabularySize
        var logits: [Float] = []
        try extend(by: tokens, options: options, chunk: chunk) { hidden, _ in
            logits += model.logits(hidden).elements
        }
        return try Tensor(logits, shape: [tokens.count, vocabulary])
    }

    /// Appends tokens in one pass.
    ///
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be appended.
    func step(_ tokens: [Int], attention: AttentionMode) throws -> Step {
        var step: Step?
        try extend(by: tokens, options: ForwardOptions(attention: attention), chunk: max(tokens.count, 1)) {
            hidden,
            _ in
            step = Step(hidden: hidden, logits: model.logits(hidden))
        }
        guard let step else { throw SparseInferenceError.request(.emptyPrompt) }
        return step
    }

    /// Appends tokens chunk by chunk.
    ///
    /// - Parameters:
    ///   - tokens: at least one.
    ///   - options: how to compute.
    ///   - chunk: how many tokens to run at a time.
    ///   - body: called after each chunk with the residual stream behind its tokens, after the final normalisation, and
    ///     the number of tokens done; may throw to stop.
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be appended, or what `body` throws.
    func extend(
        by tokens: [Int],
        options: ForwardOptions,
        chunk: Int,
        _ body: (_ hidden: Tensor, _ done: Int) throws -> Void
    ) throws {
        try validate(tokens, chunk: chunk)
        noteReading(options.attention)
        let before = count
        do {
            for start in stride(from: 0, to: tokens.count, by: chunk) {
                let end = min(start + chunk, tokens.count)
                let hidden = try model.forward(
                    [NewTokens(tokens: tokens[start..<end], position: count, caches: caches)],
                    options: options
                )
                self.tokens += tokens[start..<end]
                try body(hidden, end)
            }
        } catch {
            try restore(to: before)
            throw error
        }
    }

    /// Forgets what a failed pass may have left in some layers.
    func restore(to length: Int) throws {
        for cache in caches { try cache.truncate(to: length) }
        tokens.removeSubrange(length...)
    }

    func validate(_ tokens: [Int], chunk: Int) throws {
        guard !tokens.isEmpty else { throw SparseInferenceError.request(.emptyPrompt) }
        guard chunk >= 1 else {
            throw SparseInferenceError.request(
                .invalidOption("chunk", found: "\(chunk)", expected: "at least 1")
            )
        }
        let vocabulary = model.configuration.vocabularySize
        for token in tokens where !(0..<vocabulary).contains(token) {
            throw SparseInferenceError.request(.unknownToken(token, vocabularySize: vocabulary))
        }
        guard tokens.count <= capacity - count else {
            throw SparseInferenceError.request(.contextTooLong(tokens: count + tokens.count, limit: capacity))
        }
    }
}

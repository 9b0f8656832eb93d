/// A continuation in the making: an asynchronous sequence of pieces.
///
/// Work happens as pieces are asked for, on a queue of its own, so that waiting blocks no thread of the caller's.
/// Cancelling the task that iterates stops within a chunk of the prompt or a token, with `CancellationError`.
/// Each iteration starts over.
public struct Generation: AsyncSequence, Sendable {
    /// A piece of the continuation.
    public typealias Element = GeneratedPiece

    let model: LanguageModel
    let prompt: [Int]
    let options: GenerationOptions
    let progress: (@Sendable (Int) -> Void)?

    /// Begins to generate.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(production: Production { try Continuing(self) })
    }

    /// Produces the pieces of one run.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let production: Production<Continuing>

        /// The next piece; nil at the end.
        ///
        /// - Throws: `SparseInferenceError`; `CancellationError`; `SparseAttentionError` when there is no memory
        ///   for the caches, or when damaged weights give a NaN that has to be quantized.
        public func next() async throws -> GeneratedPiece? {
            try await production.next()
        }
    }
}

extension LanguageModel {
    /// Continues a text.
    ///
    /// - Parameters:
    ///   - prompt: the text; special tokens written in it count as such, and a beginning-of-sequence token is put
    ///     before it when the tokenizer asks for one.
    ///   - options: how to generate.
    ///   - progress: called with the number of prompt tokens done after each chunk, from another thread.
    /// - Returns: the pieces of the continuation, generated as they are asked for.
    /// - Throws: `SparseInferenceError.request` for an option out of range or a checkpoint without a tokenizer.
    public func generate(
        _ prompt: String,
        options: GenerationOptions = GenerationOptions(),
        progress: (@Sendable (Int) -> Void)? = nil
    ) throws -> Generation {
        guard let tokenizer else { throw SparseInferenceError.request(.noTokenizer) }
        return try generate(
            tokens: tokenizer.encode(prompt, addingSpecialTokens: true),
            options: options,
            progress: progress
        )
    }

    /// Continues a sequence of tokens.
    ///
    /// - Parameters:
    ///   - tokens: at least one, each in the vocabulary.
    ///   - options: how to generate.
    ///   - progress: called with the number of prompt tokens done after each chunk, from another thread.
    /// - Returns: the pieces of the continuation, generated as they are asked for; without text when the checkpoint
    ///   has no tokenizer.
    /// - Throws: `SparseInferenceError.request` for an option out of range.
    public func generate(
        tokens: [Int],
        options: GenerationOptions = GenerationOptions(),
        progress: (@Sendable (Int) -> Void)? = nil
    ) throws -> Generation {
        try options.validate()
        return Generation(model: self, prompt: tokens, options: options, progress: progress)
    }
}

/// A continuation of a prompt in a session of its own.
struct Continuing: Producer {
    private var continuation: Continuation
    private let progress: (@Sendable (Int) -> Void)?

    init(_ generation: Generation) throws {
        let (options, prompt) = (generation.options, generation.prompt)
        let model = generation.model
        let capacity = try options.capacity(behind: prompt, limit: model.configuration.maxPositions)
        let session = try Session(model, capacity: capacity, cacheFormat: options.cacheFormat)
        continuation = try Continuation(session, prompt: prompt, options: options)
        progress = generation.progress
    }

    mutating func next(check: () throws -> Void) throws -> GeneratedPiece? {
        try continuation.next { done in
            progress?(done)
            try check()
        }
    }
}

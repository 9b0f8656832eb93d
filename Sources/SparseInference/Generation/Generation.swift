import Dispatch
import Synchronization

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
        AsyncIterator(run: GenerationRun(self))
    }

    /// Produces the pieces of one run.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let run: GenerationRun

        /// The next piece; nil at the end.
        ///
        /// - Throws: `SparseInferenceError`; `CancellationError`; `SparseAttentionError` when there is no memory
        ///   for the caches, or when damaged weights give a NaN that has to be quantized.
        public func next() async throws -> GeneratedPiece? {
            try await run.next()
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

/// The state of one run, confined to its queue.
final class GenerationRun: @unchecked Sendable {
    // Sendable: every stored variable is touched on `queue` only, `isCancelled` is atomic.

    private let generation: Generation
    private let queue = DispatchQueue(label: "generation", qos: .userInitiated)
    private let isCancelled = Atomic(false)
    private var continuation: Continuation?
    private var isFinished = false

    init(_ generation: Generation) {
        self.generation = generation
    }

    func next() async throws -> GeneratedPiece? {
        try await withTaskCancellationHandler {
            try Task.checkCancellation()
            return try await withCheckedThrowingContinuation { continuation in
                queue.async { [self] in
                    continuation.resume(with: Result { try step() })
                }
            }
        } onCancel: {
            isCancelled.store(true, ordering: .relaxed)
        }
    }

    private func step() throws -> GeneratedPiece? {
        guard !isFinished else { return nil }
        // What is at its end, or failed, gives its memory back.
        isFinished = true
        var current = try continuation ?? begin()
        continuation = nil
        try checkCancellation()
        let piece = try current.next { done in
            generation.progress?(done)
            try checkCancellation()
        }
        guard let piece else { return nil }
        continuation = current
        isFinished = false
        return piece
    }

    private func begin() throws -> Continuation {
        let (options, prompt) = (generation.options, generation.prompt)
        let model = generation.model
        let capacity = try options.capacity(behind: prompt, limit: model.configuration.maxPositions)
        let session = try Session(model, capacity: capacity, cacheFormat: options.cacheFormat)
        return try Continuation(session, prompt: prompt, options: options)
    }

    private func checkCancellation() throws {
        if isCancelled.load(ordering: .relaxed) { throw CancellationError() }
    }
}

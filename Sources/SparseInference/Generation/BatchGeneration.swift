/// Continuations of several prompts in the making: an asynchronous sequence of their pieces.
///
/// Sequences share each pass over the weights. Every prompt gets the tokens it gets alone, bit for bit, in the same order;
/// which prompt the next piece belongs to depends on lengths and limits. Work happens as pieces are asked for, on a
/// queue of its own; cancelling the task that iterates stops it within a chunk of a prompt or a step, with
/// `CancellationError`. Each iteration starts over.
public struct BatchGeneration: AsyncSequence, Sendable {
    /// A piece of one of the continuations.
    public typealias Element = BatchPiece

    let model: LanguageModel
    let prompts: [[Int]]
    let options: [GenerationOptions]
    let limits: BatchLimits

    /// Begins to generate.
    public func makeAsyncIterator() -> AsyncIterator {
        AsyncIterator(
            production: Production { [self] in
                Batch(run: try BatchRun(model, prompts, options: options, limits: limits))
            }
        )
    }

    /// Produces the pieces of one run.
    public struct AsyncIterator: AsyncIteratorProtocol {
        let production: Production<Batch>

        /// The next piece; nil when all continuations are at their end.
        ///
        /// - Throws: as `Generation`.
        public func next() async throws -> BatchPiece? {
            try await production.next()
        }
    }

    struct Batch: Producer {
        var run: BatchRun

        mutating func next(check: () throws -> Void) throws -> BatchPiece? {
            try run.next(progress: check)
        }
    }
}

extension LanguageModel {
    /// Continues several sequences of tokens at the same time.
    ///
    /// - Parameters:
    ///   - prompts: each at least one token, each in the vocabulary.
    ///   - options: how to generate, for each prompt.
    ///   - limits: how much may be done at the same time.
    /// - Returns: the pieces of all continuations, generated as they are asked for.
    /// - Throws: `SparseInferenceError.request` for options out of range, for as many of them as there are not prompts, or for
    ///   a prompt that does not fit into the memory by itself.
    public func generate(
        prompts: [[Int]],
        options: [GenerationOptions],
        limits: BatchLimits = BatchLimits()
    ) throws -> BatchGeneration {
        guard prompts.count == options.count else {
            throw SparseInferenceError.request(
                .invalidOption(
                    "options",
                    found: "\(options.count)",
                    expected: "\(prompts.count), one for each prompt"
                )
            )
        }
        _ = try BatchRun(self, prompts, options: options, limits: limits)
        return BatchGeneration(model: self, prompts: prompts, options: options, limits: limits)
    }
}

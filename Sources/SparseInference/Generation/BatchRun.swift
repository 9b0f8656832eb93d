import SparseAttention

/// Continues several prompts at the same time, as many as there are places and memory for.
///
/// Prompts are admitted in their order, each when there is a place for it and room in memory; a beginning it shares with a
/// sequence in progress is copied, not read again. Each step runs the next token of all sequences in one pass. When their
/// caches outgrow the memory, the sequence admitted last gives its caches up, waits, and later reads again what it had
/// read, the way it had read it. So every sequence gets the tokens it gets alone, whatever the others do.
struct BatchRun {
    private let model: LanguageModel
    private let parallel: Int
    private let memory: Int?  // bytes of all caches
    private var waiting: [Sequence]  // in the order of admission
    private var running: [Sequence] = []
    private var pieces: [BatchPiece] = []  // not told yet

    /// A prompt on its way.
    private struct Sequence {
        let index: Int
        let prompt: [Int]
        let capacity: Int
        let bytesPerToken: Int
        var state: GenerationState
        var held: [Int] = []  // what it held when it was last given up
        var session: Session?

        /// The bytes its caches take at the end.
        var bytes: Int { capacity * bytesPerToken }
        /// The bytes they take now.
        var usedBytes: Int { (session?.count ?? 0) * bytesPerToken }

        init(_ index: Int, prompt: [Int], options: GenerationOptions, _ model: LanguageModel) throws {
            guard !prompt.isEmpty else { throw SparseInferenceError.request(.emptyPrompt) }
            let vocabulary = model.configuration.vocabularySize
            if let token = prompt.first(where: { !(0..<vocabulary).contains($0) }) {
                throw SparseInferenceError.request(.unknownToken(token, vocabularySize: vocabulary))
            }
            self.index = index
            self.prompt = prompt
            state = try GenerationState(model, options: options)
            capacity = try options.capacity(behind: prompt, limit: model.configuration.maxPositions)
            bytesPerToken = try Session(model, capacity: 1, cacheFormat: options.cacheFormat).bytesPerToken
        }
    }

    /// - Throws: `SparseInferenceError.request` for options out of range, or a prompt that cannot fit alone.
    init(_ model: LanguageModel, _ prompts: [[Int]], options: [GenerationOptions], limits: BatchLimits) throws
    {
        try limits.validate()
        self.model = model
        parallel = limits.sequences
        memory = limits.cacheBytes
        waiting = try zip(prompts, options).enumerated().map { index, request in
            try Sequence(index, prompt: request.0, options: request.1, model)
        }
        for sequence in waiting where sequence.bytes > memory ?? .max {
            throw SparseInferenceError.request(
                .memoryTooSmall(bytes: memory ?? 0, needed: sequence.bytes, prompt: sequence.index)
            )
        }
    }

    /// The next piece of any prompt; nil when all are at their end.
    ///
    /// - Parameter progress: called after each chunk of a prompt and each step; may throw to stop.
    /// - Returns: a token, and which prompt it continues.
    /// - Throws: `SparseInferenceError`, `SparseAttentionError`, or what `progress` throws.
    mutating func next(progress: () throws -> Void) throws -> BatchPiece? {
        while pieces.isEmpty {
            try progress()
            try admit(progress)
            guard !running.isEmpty else { return nil }
            try tell()
            guard pieces.isEmpty else { break }
            try step()
            try tell()
        }
        return pieces.removeFirst()
    }

    /// Tells what has been chosen, and lets go who is at the end.
    private mutating func tell() throws {
        for place in running.indices {
            guard let session = running[place].session else { continue }
            while let piece = try running[place].state.nextPiece(in: session) {
                pieces.append(BatchPiece(prompt: running[place].index, piece: piece))
            }
        }
        running.removeAll { $0.state.isFinished }
    }

    /// Runs the next tokens of all sequences.
    private mutating func step() throws {
        var proposals = [[Int]](repeating: [], count: running.count)
        for place in running.indices {
            guard let session = running[place].session else { continue }
            proposals[place] = try running[place].state.proposal(in: session)
        }
        while running.count > 1, usedBytes + growth(proposals.map(\.count)) > memory ?? .max {
            giveUpLast()
            proposals.removeLast()
        }
        let attention = running.map(\.state.options.attention)
        for mode in AttentionMode.allCases {
            let places = running.indices.filter { attention[$0] == mode }
            let sessions = places.compactMap { running[$0].session }
            let start = ContinuousClock.now
            let steps = try Session.step(sessions, by: places.map { proposals[$0] }, attention: mode)
            let seconds = (ContinuousClock.now - start) / .seconds(1)
            for ((place, session), step) in zip(zip(places, sessions), steps) {
                try running[place].state.accept(step, in: session, seconds: seconds)
            }
        }
    }

    // MARK: Memory

    /// The bytes of all caches.
    var usedBytes: Int { running.reduce(0) { $0 + $1.usedBytes } }

    /// The bytes of further tokens of each.
    private func growth(_ tokens: [Int]) -> Int {
        zip(running, tokens).reduce(0) { $0 + $1.0.bytesPerToken * $1.1 }
    }

    /// Takes its caches from the sequence admitted last, which waits before all others.
    private mutating func giveUpLast() {
        guard var last = running.popLast() else { return }
        last.held = last.session?.tokens ?? []
        last.session = nil
        waiting.insert(last, at: 0)
    }

    /// Admits who waits, as long as there is a place, and room for what it will have read and for a token of everyone.
    private mutating func admit(_ progress: () throws -> Void) throws {
        while running.count < parallel, var next = waiting.first {
            let bytes = (max(next.prompt.count, next.held.count) + 1) * next.bytesPerToken
            let needed = usedBytes + growth(running.map { _ in 1 }) + bytes
            guard running.isEmpty || needed <= memory ?? .max else { return }
            waiting.removeFirst()
            let session = try session(for: next)
            if next.state.hasBegun {
                try next.state.resume(next.held, in: session) { _ in try progress() }
            } else {
                try next.state.begin(
                    Array(next.prompt[session.count...]),
                    promptTokens: next.prompt.count,
                    in: session
                ) { _ in try progress() }
            }
            next.session = session
            running.append(next)
        }
    }

    /// A session that holds what a sequence in progress has read of the same beginning, in whole chunks: then the rest is cut
    /// into the chunks it is cut into alone.
    private func session(for sequence: Sequence) throws -> Session {
        let options = sequence.state.options
        let format = options.cacheFormat ?? model.precision.cacheFormat
        let shared = running.compactMap { other -> (session: Session, length: Int)? in
            guard let session = other.session, session.cacheFormat == format,
                other.state.options.attention == options.attention, other.state.options.chunk == options.chunk
            else { return nil }
            let common = zip(other.prompt, sequence.prompt.dropLast()).prefix { $0 == $1 }.count
            return (session, common / options.chunk * options.chunk)
        }
        guard options.draftTokens == 0, let best = shared.max(by: { $0.length < $1.length }), best.length > 0
        else {
            return try Session(model, capacity: sequence.capacity, cacheFormat: options.cacheFormat)
        }
        return try Session(copying: best.session, upTo: best.length, capacity: sequence.capacity)
    }
}

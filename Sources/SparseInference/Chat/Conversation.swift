/// A conversation with a model, whose caches are kept from turn to turn.
///
/// Each prompt is the whole conversation; of its tokens only those run that no earlier turn has run. Not for use from two
/// tasks at once.
public final class Conversation {
    /// The model that answers.
    public let model: LanguageModel
    /// How the conversation is written.
    public var encoder: ChatEncoder
    /// How answers are generated.
    public var options: GenerationOptions
    /// Everything said so far.
    public private(set) var messages: [ChatMessage] = []
    /// What the last answer took.
    public private(set) var statistics: GenerationStatistics?

    private let session: Session
    private let tokenizer: Tokenizer

    /// Begins a conversation.
    ///
    /// - Parameters:
    ///   - model: with a tokenizer.
    ///   - encoder: how the conversation is written; as the checkpoint was taught when nil.
    ///   - options: how answers are generated.
    ///   - capacity: the most tokens of the conversation; the model's limit when nil.
    /// - Throws: `ChatFault.unknownTemplate` for a model taught in another way, `SparseInferenceError.request`.
    public init(
        _ model: LanguageModel,
        encoder: ChatEncoder? = nil,
        options: GenerationOptions = GenerationOptions(maxTokens: 1024),
        capacity: Int? = nil
    ) throws {
        guard let tokenizer = model.tokenizer else { throw SparseInferenceError.request(.noTokenizer) }
        try options.validate()
        self.model = model
        self.tokenizer = tokenizer
        self.encoder = try encoder ?? ChatEncoder(.of(tokenizer))
        self.options = options
        session = try Session(
            model,
            capacity: capacity ?? model.configuration.maxPositions,
            cacheFormat: options.cacheFormat
        )
    }

    /// Adds a message that needs no answer, such as a system's.
    public func add(_ message: ChatMessage) {
        messages.append(message)
    }

    /// Forgets everything that was said from a message on; what was read of the rest stays read.
    public func removeMessages(from index: Int) {
        messages.removeSubrange(min(max(index, 0), messages.count)...)
    }

    /// Adds messages and generates the model's.
    ///
    /// On an error the conversation is as it was before the call.
    ///
    /// - Parameters:
    ///   - added: such as a user's question, or results of tools.
    ///   - progress: called with the number of prompt tokens run, and of those to run; may throw to stop.
    ///   - tell: called with each part of the answer; false ends it there.
    /// - Returns: the answer, as it was added to the messages.
    /// - Throws: `ChatFault` for messages that cannot be, or an answer that is not well-formed; `SparseInferenceError` for a
    ///   conversation that has become too long.
    @discardableResult
    public func answer(
        _ added: [ChatMessage],
        progress: (_ done: Int, _ of: Int) throws -> Void = { _, _ in },
        tell: (ChatParser.Event) -> Bool = { _ in true }
    ) throws -> ChatMessage {
        let prompt = tokenizer.encode(try encoder.encode(messages + added))
        let (room, limit) = (session.capacity - prompt.count, session.capacity)
        guard room > 0 else {
            throw SparseInferenceError.request(.contextTooLong(tokens: prompt.count + 1, limit: limit))
        }
        let rest = Array(try session.rewind(to: prompt, attention: options.attention))
        var limited = options
        limited.maxTokens = min(options.maxTokens, room)
        var continuation = try Continuation(session, prompt: rest, options: limited)
        var parser = ChatParser(encoder, tools: (messages + added).flatMap(\.tools))
        var goesOn = true
        func tellAll(_ events: [ChatParser.Event]) {
            for event in events where goesOn { goesOn = tell(event) }
        }
        // A checkpoint need not name every marker that ends an answer among its end tokens.
        while goesOn, !parser.isAtEnd,
            let piece = try continuation.next(progress: { try progress($0, rest.count) })
        {
            statistics = piece.statistics
            tellAll(try parser.append(piece.text))
        }
        if goesOn { tellAll(try parser.finish()) }
        let message = parser.message
        messages += added + [message]
        return message
    }
}

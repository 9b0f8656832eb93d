public import SparseAttention

/// How a continuation is generated.
public struct GenerationOptions: Equatable, Sendable {
    /// The most tokens to generate.
    public var maxTokens: Int
    /// How the next token is chosen.
    public var sampling: Sampling
    /// Which tokens the attention sees.
    public var attention: AttentionMode
    /// Tokens of the prompt that are run at a time.
    public var chunk: Int
    /// How caches store their numbers; nil for what the precision says.
    public var cacheFormat: CacheFormat?
    /// Whether an end-of-sequence token ends the continuation.
    public var stopsAtEnd: Bool
    /// The most tokens guessed at a time; 0 guesses none.
    ///
    /// A checkpoint with a multi-token-prediction layer guesses with that, when it reads the text from its beginning; others
    /// guess what the text so far says behind the last few tokens. Guesses run together with the last token and count as far as they are what greedy decoding chooses: the continuation
    /// stays the same, only faster where a text repeats itself. For greedy decoding alone.
    public var draftTokens: Int

    /// What `draftTokens` may be at most.
    static let mostDraftTokens = 64

    /// Options, greedy and sparse unless said otherwise.
    public init(
        maxTokens: Int = 128,
        sampling: Sampling = .greedy,
        attention: AttentionMode = .sparse,
        chunk: Int = Session.defaultChunk,
        cacheFormat: CacheFormat? = nil,
        stopsAtEnd: Bool = true,
        draftTokens: Int = 0
    ) {
        self.maxTokens = maxTokens
        self.sampling = sampling
        self.attention = attention
        self.chunk = chunk
        self.cacheFormat = cacheFormat
        self.stopsAtEnd = stopsAtEnd
        self.draftTokens = draftTokens
    }

    /// The room a session needs for a prompt and what is generated behind it.
    ///
    /// - Throws: `SparseInferenceError.request` when the model does not read so many tokens.
    package func capacity(behind prompt: [Int], limit: Int) throws -> Int {
        let (capacity, isUncountable) = prompt.count.addingReportingOverflow(maxTokens)
        guard !isUncountable, capacity <= limit else {
            let tokens = isUncountable ? .max : capacity
            throw SparseInferenceError.request(.contextTooLong(tokens: tokens, limit: limit))
        }
        return capacity
    }

    /// - Throws: `SparseInferenceError.request` naming the option that is out of range.
    func validate() throws {
        guard maxTokens >= 1 else {
            throw SparseInferenceError.request(
                .invalidOption("maxTokens", found: "\(maxTokens)", expected: "at least 1")
            )
        }
        guard chunk >= 1 else {
            throw SparseInferenceError.request(
                .invalidOption("chunk", found: "\(chunk)", expected: "at least 1")
            )
        }
        let isPossible =
            (0...Self.mostDraftTokens).contains(draftTokens) && (draftTokens == 0 || sampling == .greedy)
        guard isPossible else {
            let expected = "0 to \(Self.mostDraftTokens), and 0 unless sampling is greedy"
            throw SparseInferenceError.request(
                .invalidOption("draftTokens", found: "\(draftTokens)", expected: expected)
            )
        }
        try sampling.validate()
    }
}

/// How the next token is chosen from the model's logits.
public enum Sampling: Equatable, Sendable {
    /// The most likely token; of equal ones the lowest id.
    case greedy
    /// A token drawn at random.
    ///
    /// Logits are divided by `temperature`; then only the `topK` most likely stay, of those the fewest whose
    /// probabilities add up to `topP`, and of those the ones at least `minP` times as likely as the best. The same
    /// seed draws the same tokens.
    case random(temperature: Double, topK: Int? = nil, topP: Double = 1, minP: Double = 0, seed: UInt64)

    /// - Throws: `SparseInferenceError.request` naming the option that is out of range.
    func validate() throws {
        guard case .random(let temperature, let topK, let topP, let minP, _) = self else { return }
        let checks: [(name: String, isValid: Bool, found: String, expected: String)] = [
            ("temperature", temperature > 0 && temperature.isFinite, "\(temperature)", "a positive number"),
            ("topK", topK.map { $0 >= 1 } ?? true, topK.map(String.init) ?? "", "at least 1"),
            ("topP", topP > 0 && topP <= 1, "\(topP)", "above 0, at most 1"),
            ("minP", minP >= 0 && minP <= 1, "\(minP)", "0 to 1"),
        ]
        for check in checks where !check.isValid {
            throw SparseInferenceError.request(
                .invalidOption(check.name, found: check.found, expected: check.expected)
            )
        }
    }
}

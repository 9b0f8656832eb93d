import SparseAttention
import SparseInference

/// A whole model on one sequence that grows: prefill chunk by chunk, decoding at each position on the way.
struct ModelSuite {
    /// The model to run.
    let model: LanguageModel
    /// Tokens of a prefill chunk.
    let chunk: Int
    /// How caches store numbers; nil for what the model's precision says.
    let cacheFormat: CacheFormat?
    /// Which tokens the attention sees.
    let attention: AttentionMode
    /// Tokens decoded at each position.
    let decodedTokens: Int
    /// Sequences decoded together.
    let sequences: Int

    /// What one position showed.
    struct Row: Encodable {
        /// Tokens of the sequence.
        let position: Int
        /// Milliseconds to decode one token, median.
        let decodeMilliseconds: Double
        /// Milliseconds to decode one token of each of several sequences together, median.
        let togetherMilliseconds: Double
        /// How many they are.
        let sequences: Int
        /// Milliseconds of the chunk that ends here, the lower of the last two of full size.
        let chunkMilliseconds: Double
        /// Seconds to prefill the whole sequence from its start.
        let prefillSeconds: Double
        /// The most memory held so far, mapped weights included, in bytes; nil where the system does not tell.
        let peakBytes: Int?
        /// Bytes of the caches.
        let cacheBytes: Int

        /// Tokens a second of sequences decoded together, over those of one.
        var togetherRatio: Double { Double(sequences) * decodeMilliseconds / togetherMilliseconds }

        /// Tokens a second, over the whole prefill.
        var prefillRate: Double { Double(position) / prefillSeconds }
    }

    /// Prefills up to each position and decodes there.
    ///
    /// - Parameters:
    ///   - positions: ascending.
    ///   - seed: of the tokens.
    ///   - progress: told the tokens done.
    /// - Returns: one row a position.
    /// - Throws: what `Session` refuses.
    func run(_ positions: [Int], seed: UInt64, progress: (Int) -> Void) throws -> [Row] {
        let last = positions.last ?? 0
        let session = try Session(model, capacity: last + 1, cacheFormat: cacheFormat)
        var tokens = TokenStream(seed: seed, vocabulary: model.configuration.vocabularySize)
        var (spent, chunks) = (0.0, [Double]())
        let tellsPeak = ProcessMemory.resetPeak()
        return try positions.map { position in
            while session.count < position {
                let count = min(chunk, position - session.count)
                let next = tokens.next(count)
                let time = try ContinuousClock().measure {
                    _ = try session.extend(by: next, attention: attention)
                }
                spent += time.milliseconds
                if count == chunk { chunks.append(time.milliseconds) }
                progress(session.count)
            }
            let decode = try decode(session, &tokens)
            return Row(
                position: position,
                decodeMilliseconds: decode.alone,
                togetherMilliseconds: decode.together,
                sequences: sequences,
                chunkMilliseconds: chunks.suffix(2).min() ?? spent,
                prefillSeconds: spent / 1000,
                peakBytes: tellsPeak ? ProcessMemory.peak : nil,
                cacheBytes: position * session.bytesPerToken
            )
        }
    }

    /// The median times of a token alone and of one of each sequence together, in turn; the first are not counted.
    private func decode(_ session: Session, _ tokens: inout TokenStream) throws -> (
        alone: Double, together: Double
    ) {
        let many = try (0..<sequences).map { _ in
            try Session(copying: session, capacity: session.count + 1)
        }
        var (alone, together) = ([Double](), [Double]())
        for _ in 0...decodedTokens {
            let next = tokens.next(1)
            let time = try ContinuousClock().measure {
                _ = try session.extend(by: next, attention: attention)
            }
            alone.append(time.milliseconds)
            let each = tokens.next(sequences).map { [$0] }
            let all = try ContinuousClock().measure {
                _ = try Session.extend(many, by: each, attention: attention)
            }
            together.append(all.milliseconds)
            for session in many + [session] { try session.truncate(to: session.count - 1) }
        }
        return (Samples(Array(alone.dropFirst())).median, Samples(Array(together.dropFirst())).median)
    }
}

/// Seeded random tokens.
struct TokenStream {
    private var generator: SplitMix64
    private let vocabulary: Int

    /// Tokens of a vocabulary of so many.
    init(seed: UInt64, vocabulary: Int) {
        generator = SplitMix64(state: seed)
        self.vocabulary = vocabulary
    }

    /// The next tokens.
    mutating func next(_ count: Int) -> [Int] {
        (0..<count).map { _ in Int.random(in: 0..<vocabulary, using: &generator) }
    }
}

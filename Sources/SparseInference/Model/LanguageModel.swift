public import Foundation
public import SparseAttention

/// A transformer with latent attention, ready to run: configuration, weights and tokenizer of one checkpoint.
///
/// Weights stay in the memory-mapped file and are widened while they are used, so a model takes little more
/// memory than its caches. A value of this type is immutable and may be shared between tasks.
public struct LanguageModel: Sendable {
    /// What `config.json` says.
    public let configuration: ModelConfiguration
    /// The numerics in use.
    public let precision: Precision
    /// The threads in use.
    public let workers: Workers
    /// Turns text into tokens and back; nil when the checkpoint has no `tokenizer.json`.
    public let tokenizer: Tokenizer?

    /// Where the checkpoint lies.
    package let folder: URL

    /// Where its weights lie.
    package let checkpoint: Checkpoint
    private let embedding: WeightMatrix  // [vocabularySize, hiddenDim]
    private let layers: [TransformerLayer]
    private let finalNorm: RMSNorm
    private let head: WeightMatrix  // [vocabularySize, hiddenDim]
    let rope: RotaryEmbedding
    let arithmetic: Arithmetic
    /// The bytes of all weights, where they are stored.
    let weightBytes: Int

    /// Opens a checkpoint in Hugging Face layout.
    ///
    /// Every weight is checked for presence, shape and type before the initialiser returns. Tensors the model does
    /// not use are left alone, those of a multi-token-prediction layer until drafting asks for them.
    ///
    /// - Parameters:
    ///   - folder: holds `config.json`, `model.safetensors` or shards with their index, and usually
    ///     `tokenizer.json`.
    ///   - precision: the numerics to run with.
    ///   - workers: the threads to use.
    /// - Throws: `SparseInferenceError`, naming the file and the field or tensor.
    public init(contentsOf folder: URL, precision: Precision = .float32, workers: Workers = .all) throws {
        try self.init(contentsOf: folder, precision: precision, mistake: nil, workers: workers)
    }

    /// The same, with a known mistake of other implementations made on purpose.
    package init(
        contentsOf folder: URL,
        precision: Precision = .float32,
        mistake: Mistake?,
        workers: Workers = .all
    ) throws {
        let configuration = try ModelConfiguration(contentsOf: folder.appendingPathComponent("config.json"))
        let checkpoint = try Checkpoint(contentsOf: folder)
        let loader = WeightLoader(
            checkpoint,
            arithmetic: Arithmetic(
                precision,
                scaleFormat: configuration.quantization?.scaleFormat ?? .float32,
                mistake: mistake
            ),
            workers: workers
        )
        let (vocabulary, hiddenDim) = (configuration.vocabularySize, configuration.hiddenDim)
        let rope = try RotaryEmbedding(
            dim: configuration.ropeDim,
            theta: configuration.rope.theta,
            yarn: configuration.rope.yarn
        )
        embedding = try loader.matrix("model.embed_tokens", outputs: vocabulary, inputs: hiddenDim)
        layers = try (0..<configuration.layers).map { layer in
            try TransformerLayer(configuration: configuration, layer: layer, loader: loader, rope: rope)
        }
        finalNorm = try loader.norm("model.norm", count: hiddenDim, epsilon: configuration.normEpsilon)
        head =
            configuration.tiesEmbeddings
            ? embedding : try loader.matrix("lm_head", outputs: vocabulary, inputs: hiddenDim)
        let tokenizerFile = folder.appendingPathComponent("tokenizer.json")
        tokenizer =
            FileManager.default.fileExists(atPath: tokenizerFile.path)
            ? try Tokenizer(contentsOf: folder) : nil
        self.folder = folder
        self.configuration = configuration
        self.checkpoint = checkpoint
        self.precision = precision
        arithmetic = loader.arithmetic
        self.workers = workers
        self.rope = rope
        weightBytes = checkpoint.names.reduce(0) { $0 + (checkpoint.entry($1)?.byteCount ?? 0) }
    }
}

// MARK: - Running

extension LanguageModel {
    /// Runs new tokens of one or more sequences, whose caches they extend.
    ///
    /// Sequences share one pass over the weights. Up to `WeightMatrix.fewInputs` tokens in all, each sequence gets the
    /// numbers it gets alone, bit for bit.
    ///
    /// - Parameters:
    ///   - sequences: at least one.
    ///   - options: how to compute; watches a single sequence only.
    /// - Returns: the residual stream after the final normalisation, `[tokens of all sequences, hiddenDim]`.
    /// - Throws: `SparseAttentionError`, such as `cacheFull`.
    func forward(_ sequences: [NewTokens], options: ForwardOptions) throws -> Tensor {
        precondition(sequences.count == 1 || (options.probe == nil && options.observer == nil))
        let rotation = try rope.rotation(at: sequences.flatMap(\.positions))
        var hidden = arithmetic.rounded(embedding.rows(of: sequences.flatMap(\.tokens)))
        options.probe?.record(.embedding, nil, .tensor(hidden))
        var selections = [TokenSelection?](repeating: nil, count: sequences.count)
        for (index, layer) in layers.enumerated() {
            var start = 0
            let rows = sequences.map { sequence in
                defer { start += sequence.tokens.count }
                return SequenceRows(start..<start + sequence.tokens.count, cache: sequence.caches[index])
            }
            try layer(
                &hidden,
                sequences: rows,
                rotation: rotation,
                options: options,
                selections: &selections
            )
        }
        let normalised = arithmetic.rounded(try finalNorm(hidden))
        options.probe?.record(.finalNorm, nil, .tensor(normalised))
        return normalised
    }

    /// The scores of every token of the vocabulary.
    ///
    /// - Parameter hidden: `[tokens, hiddenDim]`, after the final normalisation.
    /// - Returns: `[tokens, vocabularySize]`.
    func logits(_ hidden: Tensor) -> Tensor {
        head.apply(to: hidden, workers: workers)
    }

    /// The tokens that end a sequence, by the configuration and by the tokenizer.
    var endTokens: Set<Int> {
        Set(configuration.eosTokens + [tokenizer?.endToken].compactMap { $0 })
    }
}

extension ModelConfiguration {
    /// What attention scores are multiplied by: `(nopeDim + ropeDim)^-½`, times YaRN's factor.
    ///
    /// Source: Hugging Face `modeling_deepseek_v3.py`, `yarn_get_mscale`.
    package var softmaxScale: Float {
        softmaxScale(yarn: rope.yarn)
    }

    /// The same for other settings of YaRN.
    func softmaxScale(yarn: YaRN?) -> Float {
        Float(1 / Double(nopeDim + ropeDim).squareRoot() * (yarn?.softmaxScale ?? 1))
    }
}

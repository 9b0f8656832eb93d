import Foundation
import SparseAttention
import SparseInference
import TestSupport

/// A checkpoint of a tiny random model in the making, of which each test changes what it is about.
///
/// Sizes are those of `ConfigurationText`: four layers, the first of them dense, and a selection of seven
/// tokens.
struct TinyCheckpoint {
    /// What `config.json` says.
    let text: ConfigurationText
    /// The tensors, in the order they are written.
    var weights: [TinyWeight]
    /// The number of weight files; more than one come with an index.
    var shards = 1
    /// Whether `tokenizer.json` lies beside the weights.
    var hasTokenizer = false
    /// How many bytes the data of each file lies behind a multiple of eight.
    var misalignment = 0

    /// A random model.
    ///
    /// - Parameters:
    ///   - family: its line of models.
    ///   - changes: fields of the configuration to replace or add, as JSON.
    ///   - seed: what the weights depend on, beside their order and their shapes.
    /// - Throws: what a configuration with these changes is refused for.
    init(
        _ family: ModelConfiguration.Family = .deepseekV32,
        _ changes: [String: String] = [:],
        seed: UInt64 = 1
    ) throws {
        text = ConfigurationText(family: family).with(changes)
        var generator = SeededGenerator(seed: seed)
        weights = try text.configuration().weightShapes.map { name, shape in
            TinyWeight(name, shape: shape, using: &generator)
        }
    }

    /// Random tokens of the vocabulary of `ConfigurationText`.
    static func tokens(_ count: Int, seed: UInt64 = 7) -> [Int] {
        var generator = SeededGenerator(seed: seed)
        return (0..<count).map { _ in generator.integer(in: 0...63) }
    }
}

// MARK: - Files

extension TinyCheckpoint {
    /// Writes the files; the folder lasts as long as the object.
    func write() throws -> TemporaryFolder {
        let folder = try TemporaryFolder()
        try folder.write(text.description, as: "config.json")
        for (shard, name) in fileNames.enumerated() {
            let members = weights.indices.filter { $0 % shards == shard }.map { weights[$0] }
            try folder.write(file(of: members), as: name)
        }
        if shards > 1 {
            let map = weights.enumerated().map { "\"\($1.name)\":\"\(fileNames[$0 % shards])\"" }
            let index = "{\"metadata\":{},\"weight_map\":{\(map.joined(separator: ","))}}"
            try folder.write(index, as: "model.safetensors.index.json")
        }
        if hasTokenizer {
            try folder.write(Self.byteTokenizer.text, as: "tokenizer.json")
            try folder.write(Self.tokenizerConfiguration, as: "tokenizer_config.json")
        }
        return folder
    }

    /// Opens the model; mapped files outlive their folder.
    func model(
        _ precision: LanguageModel.Precision = .float32,
        mistake: Mistake? = nil,
        workers: Workers = .one
    ) throws -> LanguageModel {
        let folder = try write()
        return try LanguageModel(
            contentsOf: folder.url,
            precision: precision,
            mistake: mistake,
            workers: workers
        )
    }

    private var fileNames: [String] {
        guard shards > 1 else { return ["model.safetensors"] }
        return (1...shards).map { "model-0000\($0)-of-0000\(shards).safetensors" }
    }

    private func file(of weights: [TinyWeight]) -> [UInt8] {
        var data: [UInt8] = []
        var entries: [String] = []
        for weight in weights {
            let start = data.count
            data += weight.bytes
            entries.append(entry(weight.name, weight.dataType.rawValue, weight.shape, start..<data.count))
        }
        let header = "{\(entries.joined(separator: ","))}"
        let padding = (misalignment - header.utf8.count % 8 + 8) % 8
        return safetensors(header: header + String(repeating: " ", count: padding), data: data)
    }
}

// MARK: - Weights

extension TinyCheckpoint {
    /// Changes every weight whose name ends so; an empty ending means all of them.
    mutating func change(_ ending: String = "", _ body: (inout TinyWeight) -> Void) {
        for index in weights.indices where weights[index].name.hasSuffix(ending) {
            body(&weights[index])
        }
    }

    /// The same checkpoint after `change`.
    func changing(_ ending: String = "", _ body: (inout TinyWeight) -> Void) -> TinyCheckpoint {
        var copy = self
        copy.change(ending, body)
        return copy
    }

    /// The same checkpoint without the weights whose name ends so.
    func removing(_ ending: String) -> TinyCheckpoint {
        var copy = self
        copy.weights.removeAll { $0.name.hasSuffix(ending) }
        return copy
    }
}

// MARK: - Eight bits

extension TinyCheckpoint {
    /// The matrices that released checkpoints store as FP8: all but embedding, head, router and head weights.
    private static let float8Endings = [
        "q_a_proj", "q_b_proj", "kv_a_proj_with_mqa", "kv_b_proj", "o_proj", "indexer.wq_b", "indexer.wk",
        "gate_proj", "up_proj", "down_proj",
    ]

    /// A random model whose `config.json` speaks of FP8, with two blocks in the matrices of the dense layer.
    static func quantizable(_ changes: [String: String] = [:]) throws -> TinyCheckpoint {
        let quantization = """
            {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic", \
            "weight_block_size": [128, 128], "scale_fmt": "ue8m0"}
            """
        let fields = ["quantization_config": quantization, "intermediate_size": "150"]
        return try TinyCheckpoint(.deepseekV32, fields.merging(changes) { $1 })
    }

    /// The same model with those matrices rounded to what E4M3 codes and block scales can hold.
    ///
    /// - Returns: one checkpoint that stores codes and scales, and one that stores what they stand for.
    func throughFloat8() -> (codes: TinyCheckpoint, numbers: TinyCheckpoint) {
        var (codes, numbers) = (self, self)
        for (index, weight) in weights.enumerated() {
            guard Self.float8Endings.contains(where: { weight.name.hasSuffix($0 + ".weight") }) else {
                continue
            }
            let (coded, scales) = weight.throughFloat8()
            codes.weights[index] = coded
            codes.weights.append(scales)
            numbers.weights[index].values = coded.values.indices.map { element in
                let (row, column) = element.quotientAndRemainder(dividingBy: weight.shape[1])
                return coded.values[element] * scales.values[row / 128 * scales.shape[1] + column / 128]
            }
        }
        return (codes, numbers)
    }
}

// MARK: - Tokenizer

extension TinyCheckpoint {
    /// The tokens `<begin>` and `<end>` of `byteTokenizer`.
    static let (beginToken, endToken) = (256, 257)

    /// A tokenizer that knows 256 bytes, each with its value as id, a beginning and an end.
    static var byteTokenizer: TokenizerFixture {
        var fixture = TokenizerFixture()
        fixture.tokens = Array(fixture.tokens.prefix(256))
        fixture.merges = []
        fixture.added = [
            TokenizerFixture.added("<begin>", id: beginToken, special: true),
            TokenizerFixture.added("<end>", id: endToken, special: true),
        ]
        return fixture
    }

    private static let tokenizerConfiguration =
        "{\"bos_token\":\"<begin>\",\"eos_token\":\"<end>\",\"add_bos_token\":true}"

    /// A random model with a tokenizer, whose vocabulary has two tokens that the tokenizer does not know.
    ///
    /// - Returns: the checkpoint.
    /// - Throws: what a configuration with these changes is refused for.
    static func speaking(_ changes: [String: String] = [:], seed: UInt64 = 1) throws -> TinyCheckpoint {
        let vocabulary = [
            "vocab_size": "260", "bos_token_id": "\(beginToken)", "eos_token_id": "\(endToken)",
        ]
        var checkpoint = try TinyCheckpoint(.deepseekV32, vocabulary.merging(changes) { $1 }, seed: seed)
        checkpoint.hasTokenizer = true
        return checkpoint
    }

    /// A model that follows each of these tokens, all different, by the next, and the last one by token 0.
    ///
    /// No layer adds anything to the residual stream; the embedding of each token is a unit vector of its
    /// own, and the head answers it with the next token.
    ///
    /// - Parameters:
    ///   - tokens: at most 32.
    ///   - changes: fields of the configuration to replace or add, as JSON.
    /// - Returns: the checkpoint, with a tokenizer.
    /// - Throws: what a configuration with these changes is refused for.
    static func reciting(_ tokens: [Int], _ changes: [String: String] = [:]) throws -> TinyCheckpoint {
        precondition(Set(tokens).count == tokens.count && tokens.count <= 32)
        var checkpoint = try speaking(changes.merging(["hidden_size": "32"]) { $1 })
        for ending in ["o_proj.weight", "down_proj.weight", "embed_tokens.weight", "lm_head.weight"] {
            checkpoint.change(ending) { $0.values = $0.values.map { _ in 0 } }
        }
        for (place, token) in tokens.enumerated() {
            checkpoint.change("embed_tokens.weight") { $0.values[token * 32 + place] = 1 }
        }
        for (place, next) in tokens.dropFirst().enumerated() {
            checkpoint.change("lm_head.weight") { $0.values[next * 32 + place] = 1 }
        }
        return checkpoint
    }
}

public import Foundation

/// Turns text into token ids and back, as Hugging Face's `tokenizer.json` says.
///
/// Byte-level byte pair encoding, the kind that DeepSeek, GLM, Qwen and Llama 3 use: added tokens are
/// found in the text, what lies between is cut into words, and the bytes of each word are merged. Every
/// text can be encoded, and decodes to itself when no normalizer changes it. Immutable, so one tokenizer
/// serves any number of tasks.
///
/// ```swift
/// let tokenizer = try Tokenizer(contentsOf: checkpointFolder)
/// let ids = tokenizer.encode("Where is the brass key?", addingSpecialTokens: true)
/// let text = try tokenizer.decode(ids, skippingSpecialTokens: true)
/// ```
public struct Tokenizer: Sendable {
    /// The file it was read from, named in errors.
    let file: String
    let vocabulary: Vocabulary
    let model: BytePairModel
    let normalizer: TextNormalizer
    let preTokenizer: PreTokenizer
    /// Added tokens that are looked for in the text as given.
    let givenTokens: AddedTokenMatcher
    /// Added tokens that are looked for in the normalized text.
    let normalizedTokens: AddedTokenMatcher
    let configuration: TokenizerConfiguration
    /// What goes around a prompt.
    let template: SpecialTokenTemplate
    /// How the model was taught to converse, as a Jinja template; nil when the checkpoint does not say.
    public let chatTemplate: String?

    /// No tokenizer file comes near this size, in bytes; larger ones are not read.
    private static let largestFile = 256 << 20

    /// Reads `tokenizer.json`, and `tokenizer_config.json` and `chat_template.jinja` when they lie beside it.
    ///
    /// The second names the tokens that begin and end a text. The third is the template of conversations, before one
    /// that the second holds; it is not run. The first two are strictly checked: an id belongs to
    /// one token, every merge joins known tokens, every byte has a token. Ids may leave gaps, and stay
    /// below four times the number of tokens plus 1024.
    ///
    /// A regular expression in the file can be slow on some texts by its nature; nothing bounds that.
    ///
    /// - Parameter folderOrFile: the folder of a checkpoint, or the file itself.
    /// - Throws: `SparseInferenceError.checkpoint` when a file cannot be read, `.malformedJSON` when it is
    ///   not JSON, and `.tokenizer` when it describes no usable tokenizer.
    public init(contentsOf folderOrFile: URL) throws {
        var isFolder: ObjCBool = false
        _ = FileManager.default.fileExists(atPath: folderOrFile.path, isDirectory: &isFolder)
        let file =
            isFolder.boolValue ? folderOrFile.appendingPathComponent("tokenizer.json") : folderOrFile
        func neighbour(_ name: String) -> URL? {
            let url = file.deletingLastPathComponent().appendingPathComponent(name)
            return FileManager.default.fileExists(atPath: url.path) ? url : nil
        }
        try self.init(
            tokenizer: JSONValue(contentsOf: file, limit: Tokenizer.largestFile),
            configuration: neighbour("tokenizer_config.json").map {
                try JSONValue(contentsOf: $0, limit: Tokenizer.largestFile, dialect: .nonFiniteNumbers)
            },
            chatTemplate: neighbour("chat_template.jinja").map {
                String(decoding: try MappedFile.bytes(of: $0, limit: Tokenizer.largestFile), as: UTF8.self)
            },
            file: file.lastPathComponent
        )
    }

    /// Reads the parsed files.
    ///
    /// - Parameters:
    ///   - tokenizer: `tokenizer.json`.
    ///   - configuration: `tokenizer_config.json`, when there is one.
    ///   - chatTemplate: `chat_template.jinja`, when there is one.
    ///   - file: what errors call the first.
    /// - Throws: `SparseInferenceError.tokenizer`.
    package init(
        tokenizer: JSONValue,
        configuration: JSONValue? = nil,
        chatTemplate: String? = nil,
        file: String = "tokenizer.json"
    ) throws(SparseInferenceError) {
        let contents = try Tokenizer.reading(file) { () throws(TokenizerFault) in
            try TokenizerFile(tokenizer)
        }
        self.file = file
        vocabulary = contents.vocabulary
        model = contents.model
        preTokenizer = contents.preTokenizer
        normalizer = contents.normalizer
        givenTokens = AddedTokenMatcher(contents.addedTokens.filter { !$0.isNormalized })
        normalizedTokens = AddedTokenMatcher(contents.addedTokens.filter(\.isNormalized))

        let settings = try Tokenizer.reading("tokenizer_config.json") { () throws(TokenizerFault) in
            guard let configuration else { return TokenizerConfiguration() }
            return try TokenizerConfiguration(configuration, vocabulary: contents.vocabulary)
        }
        self.configuration = settings
        template = contents.template ?? settings.template
        self.chatTemplate = chatTemplate ?? settings.chatTemplate
    }
}

// MARK: - Vocabulary

extension Tokenizer {
    /// How many tokens there are, added ones included; a model's `vocab_size` may be larger.
    public var vocabularySize: Int { vocabulary.count }

    /// The token that begins a text, `bos_token`; nil when `tokenizer_config.json` names none.
    public var beginToken: Int? { configuration.beginToken }

    /// The token that ends a text, `eos_token`; nil when `tokenizer_config.json` names none.
    public var endToken: Int? { configuration.endToken }

    /// The id of a token as the file writes it, such as `Ġthe` or `<think>`; nil when there is none.
    ///
    /// Spellings that Unicode calls equivalent are different tokens.
    public func id(of token: String) -> Int? {
        vocabulary.id(of: token)
    }

    /// The token of an id as the file writes it; nil when there is none.
    public func token(for id: Int) -> String? {
        vocabulary.token(for: id)
    }
}

// MARK: - Faults

extension Tokenizer {
    /// Runs what reads a file, and names the file in its fault.
    private static func reading<Contents>(
        _ file: String,
        _ read: () throws(TokenizerFault) -> Contents
    ) throws(SparseInferenceError) -> Contents {
        do {
            return try read()
        } catch {
            throw .tokenizer(file: file, error)
        }
    }
}

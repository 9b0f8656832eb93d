/// Tokens and their ids, of the model and added, and the bytes each token decodes to.
///
/// Tokens are equal when their UTF-8 bytes are: a vocabulary may hold `é` in both its spellings.
struct Vocabulary: Sendable {
    /// How many tokens there are, added ones included.
    let count: Int

    private let modelIDs: [ByteKey: Int]
    private let addedIDs: [ByteKey: Int]
    /// The token of each id; nil where ids are left out.
    private let tokens: [String?]
    /// The bytes of all tokens, one after the other; token `id` takes `starts[id]..<starts[id + 1]`.
    private let bytes: [UInt8]
    private let starts: [Int]
    private let specialIDs: Set<Int>

    /// The first id refused: generous to vocabularies with gaps, while a short file cannot ask for much.
    static func idLimit(tokens: Int) -> Int { 4 * tokens + 1024 }

    /// Gathers the tokens of the model and the added ones.
    ///
    /// An added token may repeat a token of the model under the same id.
    ///
    /// - Throws: `TokenizerFault` for an id out of range, an id with two tokens, or a token with two ids.
    init(model: [(token: String, id: Int)], added: [AddedToken]) throws(TokenizerFault) {
        let limit = Vocabulary.idLimit(tokens: model.count + added.count)
        let largest = max(model.lazy.map(\.id).max() ?? -1, added.lazy.map(\.id).max() ?? -1)
        var tokens = [String?](repeating: nil, count: max(min(largest, limit - 1) + 1, 0))
        var modelIDs: [ByteKey: Int] = [:]
        var addedIDs: [ByteKey: Int] = [:]
        modelIDs.reserveCapacity(model.count)

        func place(_ token: String, at id: Int) throws(TokenizerFault) {
            guard (0..<limit).contains(id) else {
                throw .idOutOfRange(token: token, id: id, limit: limit)
            }
            if let other = tokens[id] { throw .duplicateID(id, first: other, second: token) }
            tokens[id] = token
        }
        for (token, id) in model {
            try place(token, at: id)
            modelIDs[ByteKey(token)] = id
        }
        var count = modelIDs.count
        for token in added {
            let key = ByteKey(token.content)
            guard addedIDs.updateValue(token.id, forKey: key) == nil else {
                throw .duplicateAddedToken(token.content)
            }
            if let id = modelIDs[key] {
                guard id == token.id else {
                    throw .conflictingIDs(token: token.content, model: id, added: token.id)
                }
            } else {
                try place(token.content, at: token.id)
                count += 1
            }
        }
        self.modelIDs = modelIDs
        self.addedIDs = addedIDs
        self.tokens = tokens
        self.count = count
        specialIDs = Set(added.lazy.filter(\.isSpecial).map(\.id))

        var bytes: [UInt8] = []
        var starts = [0]
        starts.reserveCapacity(tokens.count + 1)
        let texts = Dictionary(uniqueKeysWithValues: added.map { ($0.id, $0.text) })
        for (id, token) in tokens.enumerated() {
            // A token that leaves the alphabet, as most added ones do, stands for its own UTF-8.
            if let text = texts[id] ?? token, !ByteLevelAlphabet.append(text, to: &bytes) {
                bytes.append(contentsOf: text.utf8)
            }
            starts.append(bytes.count)
        }
        self.bytes = bytes
        self.starts = starts
    }
}

// MARK: - Looking up

extension Vocabulary {
    /// The id of a token of the model; added tokens are not looked at.
    func modelID(of token: String) -> Int? {
        modelIDs[ByteKey(token)]
    }

    /// The id of a token of the model or an added one.
    func id(of token: String) -> Int? {
        let key = ByteKey(token)
        return addedIDs[key] ?? modelIDs[key]
    }

    /// The token as the file writes it; nil when no token has this id.
    func token(for id: Int) -> String? {
        tokens.indices.contains(id) ? tokens[id] : nil
    }

    /// The bytes that a token decodes to; nil when no token has this id.
    func bytes(of id: Int) -> ArraySlice<UInt8>? {
        guard tokens.indices.contains(id), tokens[id] != nil else { return nil }
        return bytes[starts[id]..<starts[id + 1]]
    }

    /// Whether the token is one that decoding can skip.
    func isSpecial(_ id: Int) -> Bool {
        specialIDs.contains(id)
    }
}

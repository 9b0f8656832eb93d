/// Byte pair encoding: a word starts as its bytes, and the best known pair is joined until none is left.
///
/// Source: Sennrich et al., "Neural Machine Translation of Rare Words with Subword Units", §3.2, on bytes
/// as in GPT-2.
struct BytePairModel: Sendable {
    /// What joining a pair gives, and how early it is done.
    struct Merge: Sendable {
        /// The place in the list of merges; the least is joined first.
        let rank: Int32
        /// The id of the joined token.
        let merged: Int32
    }

    /// The id of each byte's token; −1 for bytes that UTF-8 never uses and that have none. [256]
    private let byteIDs: [Int32]
    /// The merge of each pair, by `key(_:_:)`.
    private let merges: [UInt64: Merge]
    /// Whole tokens by their bytes, when a word that is a token stays whole; else nil.
    private let wholeTokens: [[UInt8]: Int32]?

    /// Bytes that are no part of any valid UTF-8.
    private static let unusedBytes: Set<UInt8> = Set([0xC0, 0xC1] + (0xF5...0xFF))

    /// Prepares the merges of a vocabulary.
    ///
    /// - Parameters:
    ///   - vocabulary: the tokens to look up.
    ///   - tokens: the tokens of the model.
    ///   - pairs: pairs of tokens, best first.
    ///   - keepsWholeTokens: whether a word that is a token is not built by merges (`ignore_merges`).
    /// - Throws: `TokenizerFault` when a byte has no token, or a merge is unknown or repeated.
    init(
        vocabulary: Vocabulary,
        tokens: [(token: String, id: Int)],
        merges pairs: [(left: String, right: String)],
        keepsWholeTokens: Bool
    ) throws(TokenizerFault) {
        var byteIDs = [Int32](repeating: -1, count: 256)
        for (byte, scalar) in ByteLevelAlphabet.scalars.enumerated() {
            if let id = vocabulary.modelID(of: String(Character(scalar))) {
                byteIDs[byte] = Int32(id)
            } else if !BytePairModel.unusedBytes.contains(UInt8(byte)) {
                throw .missingByteToken(UInt8(byte))
            }
        }
        self.byteIDs = byteIDs

        var merges: [UInt64: Merge] = [:]
        merges.reserveCapacity(pairs.count)
        for (index, (left, right)) in pairs.enumerated() {
            guard let leftID = vocabulary.modelID(of: left) else {
                throw .mergeOfUnknownToken(index: index, token: left)
            }
            guard let rightID = vocabulary.modelID(of: right) else {
                throw .mergeOfUnknownToken(index: index, token: right)
            }
            guard let mergedID = vocabulary.modelID(of: left + right) else {
                throw .mergeIntoUnknownToken(index: index, token: left + right)
            }
            let merge = Merge(rank: Int32(index), merged: Int32(mergedID))
            let key = BytePairModel.key(Int32(leftID), Int32(rightID))
            guard merges.updateValue(merge, forKey: key) == nil else { throw .duplicateMerge(index: index) }
        }
        self.merges = merges

        var wholeTokens: [[UInt8]: Int32] = [:]
        for (token, id) in keepsWholeTokens ? tokens : [] {
            var bytes: [UInt8] = []
            if ByteLevelAlphabet.append(token, to: &bytes) { wholeTokens[bytes] = Int32(id) }
        }
        self.wholeTokens = keepsWholeTokens ? wholeTokens : nil
    }

    /// Two ids as one number.
    private static func key(_ left: Int32, _ right: Int32) -> UInt64 {
        UInt64(UInt32(bitPattern: left)) << 32 | UInt64(UInt32(bitPattern: right))
    }
}

// MARK: - Looking up

extension BytePairModel {
    /// The id of a byte's token.
    func id(of byte: UInt8) -> Int32 {
        byteIDs[Int(byte)]
    }

    /// How a pair of ids is joined; nil when it is not.
    func merge(_ left: Int32, _ right: Int32) -> Merge? {
        merges[BytePairModel.key(left, right)]
    }

    /// The id of a word that is kept whole; nil when it is to be merged.
    func wholeToken(_ word: [UInt8]) -> Int? {
        wholeTokens?[word].map(Int.init)
    }
}

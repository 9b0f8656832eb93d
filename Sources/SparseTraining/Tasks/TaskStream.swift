import SparseInference

/// Items made from a seed, each found by its number.
///
/// Training and evaluation draw from streams that never meet: the split is part of what an item's generator is seeded
/// with.
package struct TaskStream: Sendable {
    /// Which of the streams that never meet.
    package enum Split: UInt64, Sendable {
        /// To learn from.
        case training = 1
        /// To be measured with.
        case evaluation = 2
    }

    /// The seed of all items.
    package let seed: UInt64
    /// Which stream.
    package let split: Split
    /// The most questions of an item.
    package let questions: Int
    /// Tokens of text for each fact that can be asked for, about.
    package let tokensPerFact: Int

    /// How often each fact is stated again.
    package let restatements: Int

    /// The usual density of facts.
    package static let tokensPerFact = 40

    private let vocabulary = TaskVocabulary()

    /// A stream.
    package init(
        seed: UInt64,
        split: Split,
        questions: Int = 16,
        tokensPerFact: Int = TaskStream.tokensPerFact,
        restatements: Int = 0
    ) {
        self.restatements = restatements
        self.tokensPerFact = tokensPerFact
        self.seed = seed
        self.split = split
        self.questions = questions
    }

    /// An item.
    ///
    /// - Parameters:
    ///   - kind: what is asked.
    ///   - index: its number.
    ///   - length: the most tokens, at least 64.
    /// - Returns: at most `length` tokens, and little less for long texts.
    package func item(_ kind: TaskKind, _ index: Int, length: Int) -> TaskItem {
        precondition(length >= 64, "an item has at least 64 tokens")
        var generator = generator(kind, index)
        switch kind {
        case .needle, .hops:
            return Needles(
                vocabulary: vocabulary,
                hasHops: kind == .hops,
                tokensPerFact: tokensPerFact,
                restatements: restatements
            )
            .item(length: length, questions: questions, &generator)
        case .copy, .arithmetic, .brackets:
            return SmallTasks(vocabulary: vocabulary)
                .item(kind, length: length, questions: questions * 4, &generator)
        case .prose: return prose(length: length, &generator)
        }
    }

    private func prose(length: Int, _ generator: inout SplitMix64) -> TaskItem {
        var writer = ConversationWriter(.prose, vocabulary)
        var prose = Prose()
        while writer.item.tokens.count + Prose.longestSentence < length {
            writer.text(
                prose.sentence(&generator, isFirst: writer.item.tokens.count == 2),
                weight: 1
            )
        }
        writer.end(weight: 1)
        return writer.item
    }

    /// A generator of its own for each item: the state goes through the generator's own mixing between the parts.
    private func generator(_ kind: TaskKind, _ index: Int) -> SplitMix64 {
        var state = seed
        let kindNumber = UInt64(TaskKind.allCases.firstIndex(of: kind) ?? 0)
        for part in [split.rawValue, kindNumber, UInt64(bitPattern: Int64(index))] {
            var mixer = SplitMix64(state: state ^ part &* 0x9E37_79B9_7F4A_7C15)
            state = mixer.next()
        }
        return SplitMix64(state: state)
    }
}

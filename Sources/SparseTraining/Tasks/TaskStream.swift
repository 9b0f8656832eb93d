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
    /// The most facts of a text, phrases among them; as many as fit when nil.
    ///
    /// Every number up to it occurs.
    package let mostFacts: Int?
    /// The languages of tasks that are worded.
    package let languages: LanguageMix

    /// The usual density of facts.
    package static let tokensPerFact = 40

    private let vocabulary = TaskVocabulary()

    /// A stream.
    package init(
        seed: UInt64,
        split: Split,
        questions: Int = 16,
        tokensPerFact: Int = TaskStream.tokensPerFact,
        restatements: Int = 0,
        mostFacts: Int? = nil,
        languages: LanguageMix? = nil
    ) {
        self.mostFacts = mostFacts
        self.languages = languages ?? .english
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
            return needles(hasHops: kind == .hops).item(length: length, questions: questions, &generator)
        case .phrases:
            return Phrases(vocabulary: vocabulary, mostFacts: mostFacts ?? .max).item(
                length: length,
                &generator
            )
        case .copy, .arithmetic, .brackets:
            return SmallTasks(vocabulary: vocabulary)
                .item(kind, length: length, questions: questions * 4, &generator)
        case .programs, .steps, .ordering, .logic, .coding, .search, .writing:
            return LeveledTasks(vocabulary: vocabulary, languages: languages)
                .item(kind, length: length, questions: questions * 4, &generator)
        case .prose: return prose(length: length, &generator)
        }
    }

    /// A text with facts in it, and questions about them.
    ///
    /// - Parameters:
    ///   - index: its number.
    ///   - length: the most tokens of text and questions together, at least 64.
    /// - Returns: the same text as that of the needle item of this number.
    package func document(_ index: Int, length: Int) -> NeedleDocument {
        precondition(length >= 64, "a document has at least 64 tokens")
        var generator = generator(.needle, index)
        return needles(hasHops: false).document(length: length, questions: questions, &generator)
    }

    private func needles(hasHops: Bool) -> Needles {
        Needles(
            vocabulary: vocabulary,
            hasHops: hasHops,
            tokensPerFact: tokensPerFact,
            restatements: restatements,
            mostFacts: mostFacts
        )
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

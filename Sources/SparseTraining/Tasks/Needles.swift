import SparseInference

/// Facts among prose, and questions about some of them.
///
/// A fact is *The brass key is in the cellar.*, eight tokens; a question *Where is the brass key?* and its answer
/// *In the cellar.* With hops the thing is with a person and the person somewhere: *The brass key is with Ada.*,
/// *Ada is in the cellar.*, answered *With Ada in the cellar.* No thing, and no person of a fact, appears in two facts.
struct Needles {
    let vocabulary: TaskVocabulary
    let hasHops: Bool
    /// Tokens of text for each fact, its own included, about.
    let tokensPerFact: Int
    /// How often each fact is stated again, where there is room.
    let restatements: Int
    /// When not nil, a text has any number of facts up to this and to what `tokensPerFact` says.
    let mostFacts: Int?

    /// The most facts there are words for.
    private var enoughFacts: Int { hasHops ? 32 : WordList.things.count }
    /// Tokens of a question with its answer and markers.
    private var questionTokens: Int { (hasHops ? 13 : 10) + ConversationWriter.turnMarkers }

    /// A fact, and what is asked about it.
    private struct Fact {
        let sentences: [[String]]
        let question: [String]
        let answer: [String]
    }

    /// A conversation of at most `length` tokens, and little less.
    ///
    /// - Parameters:
    ///   - length: at least 64.
    ///   - questions: how many facts are asked for, at most.
    ///   - generator: makes the choices.
    /// - Returns: the conversation.
    func item(length: Int, questions: Int, _ generator: inout SplitMix64) -> TaskItem {
        var (writer, asked) = text(length: length, questions: questions, &generator)
        for (order, asked) in asked.enumerated() {
            let question = asked.fact.question
            writer.ask(
                order == 0 ? question : Self.first(question),
                answer: asked.fact.answer,
                needles: asked.places
            )
        }
        return writer.item
    }

    /// The text of such a conversation, and questions any of which can be the first.
    func document(length: Int, questions: Int, _ generator: inout SplitMix64) -> NeedleDocument {
        let (writer, asked) = text(length: length, questions: questions, &generator)
        let start = writer.item.tokens.count
        return NeedleDocument(
            tokens: writer.item.tokens,
            questions: asked.map { asked in
                var turn = writer
                turn.ask(asked.fact.question, answer: asked.fact.answer, needles: asked.places)
                let answer = turn.item.questions[0].answer
                return NeedleDocument.Question(
                    text: Self.first(asked.fact.question).joined(),
                    prompt: Array(turn.item.tokens[start..<answer.lowerBound]),
                    answer: Array(turn.item.tokens[answer]),
                    needles: asked.places
                )
            }
        )
    }

    /// The text with its facts, and those that are asked for with the places where they are stated.
    private func text(length: Int, questions: Int, _ generator: inout SplitMix64) -> (
        writer: ConversationWriter, asked: [(fact: Fact, places: [Range<Int>])]
    ) {
        let asked = max(1, min(questions, (length / 2) / questionTokens))
        let room = length - asked * questionTokens - 2
        let factTokens = hasHops ? 15 : 8
        let fitting = room / max(tokensPerFact, factTokens)
        let count =
            if let mostFacts {
                Int.random(in: asked...max(asked, min(mostFacts, fitting, enoughFacts)), using: &generator)
            } else {
                min(enoughFacts, max(asked, fitting))
            }
        let repeats = max(1, min(1 + restatements, room / (factTokens * count)))
        let facts = facts(count, &generator)
        var pending = (0..<repeats).flatMap { _ in
            facts.enumerated().flatMap { index, fact in fact.sentences.map { (index, $0) } }
        }.shuffled(using: &generator)
        var writer = ConversationWriter(hasHops ? .hops : .needle, vocabulary)
        var places = [[Range<Int>]](repeating: [], count: count)
        var stated = Set<[String]>()
        var prose = Prose()
        // Facts come at even odds wherever there is still prose to write.
        var proseRoom = room - pending.reduce(0) { $0 + $1.1.count } - Prose.longestSentence
        while !pending.isEmpty || proseRoom > 0 {
            let isFirst = writer.item.tokens.count == 2
            let share = Double(pending.count) / (Double(pending.count) + Double(max(proseRoom, 0)) / 8)
            if !pending.isEmpty, Double.random(in: 0..<1, using: &generator) < share {
                let (index, sentence) = pending.removeLast()
                if stated.insert(sentence).inserted {
                    places[index].append(writer.text(isFirst ? Self.first(sentence) : sentence))
                } else {
                    writer.recall(sentence)
                }
            } else {
                let sentence = prose.sentence(&generator, isFirst: isFirst)
                proseRoom -= sentence.count
                writer.text(sentence)
            }
        }
        let order = (0..<count).shuffled(using: &generator).prefix(asked)
        return (writer, order.map { (facts[$0], places[$0]) })
    }

    /// The same pieces at the beginning of a text.
    private static func first(_ pieces: [String]) -> [String] {
        [String(pieces[0].dropFirst())] + pieces.dropFirst()
    }

    private func facts(_ count: Int, _ generator: inout SplitMix64) -> [Fact] {
        let things = WordList.things.shuffled(using: &generator).prefix(count)
        let names = WordList.names.shuffled(using: &generator)
        return things.enumerated().map { index, thing in
            let thing = [" " + WordList.looks.pick(&generator), " " + thing]
            let place = " " + WordList.places.pick(&generator)
            let question = [" Where", " is", " the"] + thing + ["?"]
            guard hasHops else {
                return Fact(
                    sentences: [[" The"] + thing + [" is", " in", " the", place, "."]],
                    question: question,
                    answer: ["In", " the", place, "."]
                )
            }
            let name = " " + names[index]
            return Fact(
                sentences: [
                    [" The"] + thing + [" is", " with", name, "."], [name, " is", " in", " the", place, "."],
                ],
                question: question,
                answer: ["With", name, " in", " the", place, "."]
            )
        }
    }
}

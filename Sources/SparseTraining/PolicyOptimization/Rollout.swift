import Foundation
import SparseAttention
package import SparseInference

/// An answer a policy wrote, with what training it needs: probabilities, what could have been drawn, what was decided.
package struct Rollout: Sendable {
    /// The question, then the policy's turns, end tokens included, with the replies between them.
    package let tokens: [Int]
    /// Where the policy's turns lie.
    package let turns: [Range<Int>]
    /// The log-probability of each token the policy drew, among its candidates.
    package let logProbabilities: [Float]
    /// The tokens each was drawn from; nil for the whole vocabulary.
    package let candidates: [[Int]?]
    /// The entropy of each distribution drawn from, in nats.
    package let entropies: [Float]
    /// Experts and selections of all tokens.
    package let replay: Replay

    /// The places of the tokens the policy drew.
    package var drawn: [Int] { Array(turns.joined()) }
    /// The tokens each token but the first was drawn from; nil for the whole vocabulary, and where nothing was drawn.
    var allCandidates: [[Int]?] {
        var all = [[Int]?](repeating: nil, count: tokens.count - 1)
        for (place, candidates) in zip(drawn, candidates) { all[place - 1] = candidates }
        return all
    }
    /// What the policy wrote, turn by turn.
    package var answer: [[Int]] { turns.map { Array(tokens[$0]) } }
}

/// How answers are drawn.
package struct RolloutOptions: Equatable, Sendable {
    /// The most tokens of an answer, all its turns together.
    package var maxTokens: Int
    /// Draw among the fewest tokens whose probabilities add up to this.
    package var topP: Double
    /// Which tokens the attention sees.
    package var attention: AttentionMode
    /// The tokens that end a turn.
    package var endTokens: Set<Int>

    /// The `topP` with which only the likeliest token is drawn.
    package static let greedy = Double.leastNonzeroMagnitude

    /// Options; logits are drawn from as they are, at temperature 1, so that probabilities are the policy's.
    package init(
        maxTokens: Int,
        topP: Double = 1,
        attention: AttentionMode = .sparse,
        endTokens: Set<Int> = [TaskVocabulary.end]
    ) {
        self.maxTokens = maxTokens
        self.topP = topP
        self.attention = attention
        self.endTokens = endTokens
    }
}

extension LanguageModel {
    /// Draws an answer.
    ///
    /// - Parameters:
    ///   - prompt: the question, at least one token.
    ///   - environment: replies to turns; nil where the first is the answer.
    ///   - options: how to draw.
    ///   - seed: the same seed draws the same answer.
    /// - Returns: the answer, and what was decided on the way. It ends early where no further reply fits in.
    /// - Throws: `SparseInferenceError.request` for a prompt that leaves no room, or logits that are no numbers.
    package func rollout(
        _ prompt: [Int],
        environment: (any Environment)? = nil,
        options: RolloutOptions,
        seed: UInt64
    ) throws -> Rollout {
        let capacity =
            environment == nil ? prompt.count + options.maxTokens : configuration.maxPositions
        let session = try Session(self, capacity: capacity)
        let recorder = ReplayRecorder(layers: configuration.layers)
        let forward = ForwardOptions(attention: options.attention, probe: recorder.probe)
        var generator = SplitMix64(state: seed)
        var writer = TurnWriter(prompt)
        var draws: [Draw] = []
        var next = prompt
        while true {
            let logits = try session.extendWithAllLogits(by: next, options: forward)
            // The last token is run, too: what it decides is part of the replay.
            if draws.count == options.maxTokens || session.count == capacity { break }
            if let end = draws.last?.token, options.endTokens.contains(end), !writer.isAtBeginning {
                guard let reply = environment?.reply(to: writer.answer), !reply.isEmpty,
                    session.count + reply.count < capacity
                else { break }
                writer.beginTurn(behind: reply)
                next = reply
                continue
            }
            let last = try logits.slice(logits.shape[0] - 1..<logits.shape[0]).elements
            guard last.allSatisfy(\.isFinite) else {
                throw SparseInferenceError.request(.nonFiniteLogits(position: session.count - 1))
            }
            let draw = Draw(from: last, topP: options.topP, using: &generator)
            draws.append(draw)
            writer.append(draw.token)
            next = [draw.token]
        }
        return Rollout(
            tokens: writer.tokens,
            turns: writer.turns.filter { !$0.isEmpty },
            logProbabilities: draws.map(\.logProbability),
            candidates: draws.map(\.candidates),
            entropies: draws.map(\.entropy),
            replay: try recorder.replay
        )
    }
}

/// A conversation in which one side's turns are written token by token.
private struct TurnWriter {
    private(set) var tokens: [Int]
    private(set) var turns: [Range<Int>]

    init(_ prompt: [Int]) {
        tokens = prompt
        turns = [prompt.count..<prompt.count]
    }

    /// Whether the turn is still empty.
    var isAtBeginning: Bool { turns[turns.count - 1].isEmpty }

    /// What has been written, turn by turn.
    var answer: [[Int]] { turns.map { Array(tokens[$0]) } }

    mutating func append(_ token: Int) {
        tokens.append(token)
        turns[turns.count - 1] = turns[turns.count - 1].lowerBound..<tokens.count
    }

    mutating func beginTurn(behind reply: [Int]) {
        tokens += reply
        turns.append(tokens.count..<tokens.count)
    }
}

extension LanguageModel {
    /// Draws an answer to the first question of an item, and judges it.
    ///
    /// - Parameters:
    ///   - item: the question; what comes before it is the prompt.
    ///   - options: how to draw.
    ///   - seed: the same seed draws the same answer.
    /// - Returns: the answer, and how right it is, 0 … 1.
    /// - Throws: `SparseInferenceError.request` for an item without a question, or as the other.
    func rollout(_ item: TaskItem, options: RolloutOptions, seed: UInt64) throws -> (
        rollout: Rollout, outcome: Float
    ) {
        guard let question = item.questions.first else {
            throw SparseInferenceError.request(.emptyPrompt)
        }
        let prompt = Array(item.tokens[..<question.answer.lowerBound])
        let rollout = try rollout(prompt, environment: question.environment, options: options, seed: seed)
        return (rollout, item.outcome(of: rollout.answer, to: question))
    }
}

/// A token drawn at random.
private struct Draw {
    let token: Int
    let logProbability: Float
    let candidates: [Int]?
    let entropy: Float

    init(from logits: [Float], topP: Double, using generator: inout SplitMix64) {
        let largest = Double(logits.max() ?? 0)
        let weights = logits.map { exp(Double($0) - largest) }
        var chosen = Array(weights.indices)
        if topP < 1 {
            let total = weights.reduce(0, +)
            chosen.sort { weights[$0] > weights[$1] || (weights[$0] == weights[$1] && $0 < $1) }
            var mass = 0.0
            let last = chosen.firstIndex { token in
                mass += weights[token]
                return mass >= topP * total
            }
            chosen = chosen.prefix((last ?? chosen.count - 1) + 1).sorted()
        }
        let total = chosen.reduce(0) { $0 + weights[$1] }
        var draw = Double.random(in: 0..<total, using: &generator)
        let token =
            chosen.first { token in
                draw -= weights[token]
                return draw < 0
            } ?? chosen[chosen.count - 1]
        self.token = token
        logProbability = Float(log(weights[token] / total))
        candidates = topP < 1 ? chosen : nil
        let shares = chosen.map { weights[$0] / total }
        entropy = Float(shares.filter { $0 > 0 }.reduce(0.0) { $0 - $1 * log($1) })
    }
}

import Foundation
import SparseAttention
package import SparseInference

/// A long document read once, and questions about it answered with dense and with sparse attention.
///
/// Each side reads the document in its own mode and is asked every question right behind it.
package struct Demonstration {
    private let model: LanguageModel
    private let document: NeedleDocument

    /// The most tokens of an answer.
    private static let longestAnswer = 24
    /// Query tokens at which the attention mass is measured, about.
    private static let massSamples = 128
    /// Steps timed at each position of the cost curve; the fastest counts.
    private static let timedSteps = 5

    /// A demonstration.
    ///
    /// - Parameters:
    ///   - model: with a tokenizer and an indexer.
    ///   - document: what to read, and what to ask.
    package init(_ model: LanguageModel, _ document: NeedleDocument) {
        self.model = model
        self.document = document
    }

    /// What it showed.
    package struct Report: Sendable {
        /// The tokens of the document.
        package var length: Int
        /// The tokens the indexer selects.
        package var k: Int
        /// The answers, in the order of the questions.
        package var answers: [Answer] = []
        /// The seconds reading the document took.
        package var prefillSeconds = Pair(dense: 0, sparse: 0)
        /// Bytes of one side's caches.
        package var cacheBytes = 0
        /// The most bytes of memory held while reading and answering.
        package var peakMemoryBytes = 0
        /// What share of dense attention selections keep; nil for documents no longer than twice k.
        package var mass: AttentionMass?
        /// Milliseconds a token takes at each position.
        package var costs: [Cost] = []
    }

    /// A number for each side.
    package struct Pair: Equatable, Sendable, Codable {
        /// With dense attention.
        package var dense: Double
        /// With sparse attention.
        package var sparse: Double

        /// A pair of numbers.
        package init(dense: Double, sparse: Double) {
            self.dense = dense
            self.sparse = sparse
        }
    }

    /// A question with both answers.
    package struct Answer: Sendable {
        /// The question, as text.
        package var question: String
        /// The right answer; nil when it is not known.
        package var expected: String?
        /// The answer with dense attention.
        package var dense: String
        /// The answer with sparse attention.
        package var sparse: String
        /// The seconds the question and its answer took.
        package var seconds: Pair
        /// The tokens the question follows from.
        package var needles: [Range<Int>]
        /// What the indexers selected, for each token of the sparse answer.
        package var looks: [Look]

        /// Whether the dense answer is right; nil when that is not known.
        package var isDenseCorrect: Bool? { expected.map { $0 == dense } }
        /// Whether the sparse answer is right.
        package var isSparseCorrect: Bool? { expected.map { $0 == sparse } }
    }

    /// What the indexers selected to predict one token.
    package struct Look: Sendable {
        /// The token, as text.
        package var token: String
        /// The positions selected in each layer, ascending.
        package var layers: [[Int32]]

        /// What share of some tokens was selected, layers averaged.
        package func share(of needles: [Range<Int>]) -> Double {
            let wanted = needles.reduce(0) { $0 + $1.count } * layers.count
            let found = layers.reduce(0) { sum, positions in
                sum + positions.filter { position in needles.contains { $0.contains(Int(position)) } }.count
            }
            return Double(found) / Double(max(wanted, 1))
        }
    }

    /// What a token costs at a position.
    package struct Cost: Sendable, Codable {
        /// The tokens before it.
        package var position: Int
        /// Milliseconds a token of a prompt takes.
        package var prefill: Pair
        /// Milliseconds a token of an answer takes.
        package var decode: Pair
    }

    /// Reads, asks and measures.
    ///
    /// - Parameter progress: told what is being done.
    /// - Returns: what it showed.
    /// - Throws: `SparseInferenceError`, such as for a document longer than the model reads.
    package func run(progress: (String) -> Void = { _ in }) throws -> Report {
        guard let tokenizer = model.tokenizer else {
            throw SparseInferenceError.request(.noTokenizer)
        }
        var report = Report(length: document.tokens.count, k: model.configuration.indexer?.topK ?? 0)
        _ = ProcessMemory.resetPeak()
        var (dense, sparse) = (try Side(model, .dense, document), try Side(model, .sparse, document))
        report.prefillSeconds.dense = try dense.read(document.tokens) {
            progress("dense attention reads: \($0) tokens")
        }
        report.prefillSeconds.sparse = try sparse.read(document.tokens) {
            progress("sparse attention reads: \($0) tokens")
        }
        report.cacheBytes = sparse.session.bytesPerToken * document.tokens.count
        for (number, question) in document.questions.enumerated() {
            progress("question \(number + 1) of \(document.questions.count)")
            let (first, second) = (try dense.answer(question.prompt), try sparse.answer(question.prompt))
            func text(_ tokens: [Int]) throws -> String {
                try tokenizer.decode(tokens, skippingSpecialTokens: true)
            }
            report.answers.append(
                Answer(
                    question: question.text,
                    expected: question.answer.isEmpty ? nil : try text(question.answer),
                    dense: try text(first.tokens),
                    sparse: try text(second.tokens),
                    seconds: Pair(dense: first.seconds, sparse: second.seconds),
                    needles: question.needles,
                    looks: try zip(second.tokens, sparse.looks(question.prompt, answer: second.tokens)).map {
                        Look(token: try tokenizer.decode([$0]), layers: $1)
                    }
                )
            )
        }
        report.peakMemoryBytes = ProcessMemory.peak
        progress("timing tokens along the document")
        report.costs = try costs(dense, sparse)
        if let first = document.questions.first, document.tokens.count > 2 * report.k, report.k > 0 {
            progress("measuring the attention kept")
            let parameters = try ParameterSet(
                contentsOf: model.folder,
                configuration: model.configuration
            )
            let tokens = document.tokens + first.prompt
            report.mass = try TrainableModel(model.configuration, workers: model.workers).attentionMass(
                tokens,
                parameters,
                every: max(1, (tokens.count - 2 * report.k) / Self.massSamples)
            )
        }
        return report
    }

    /// Times at the powers of two from 1,024 tokens on, and at the end.
    private func costs(_ dense: Side, _ sparse: Side) throws -> [Cost] {
        var positions = [document.tokens.count]
        var power = 1024
        while power < document.tokens.count {
            positions.append(power)
            power *= 2
        }
        // Downwards: a cache is cut, never filled again.
        return try positions.sorted(by: >).map { position in
            Cost(
                position: position,
                prefill: Pair(
                    dense: dense.prefillMilliseconds(at: position),
                    sparse: sparse.prefillMilliseconds(at: position)
                ),
                decode: Pair(
                    dense: try dense.stepMilliseconds(at: position, steps: Self.timedSteps),
                    sparse: try sparse.stepMilliseconds(at: position, steps: Self.timedSteps)
                )
            )
        }.reversed()
    }

    // MARK: - One side

    /// A session in one mode that has read the document.
    private struct Side {
        let session: Session
        let attention: AttentionMode
        private var chunks: [(end: Int, milliseconds: Double)] = []  // a token, in each chunk

        init(_ model: LanguageModel, _ attention: AttentionMode, _ document: NeedleDocument) throws {
            let longest = document.questions.map(\.prompt.count).max() ?? 0
            session = try Session(
                model,
                capacity: document.tokens.count + longest + Demonstration.longestAnswer
            )
            self.attention = attention
        }

        /// Reads the document; returns the seconds it took.
        mutating func read(_ tokens: [Int], progress: (Int) -> Void) throws -> Double {
            let start = ContinuousClock.now
            var (last, done) = (start, 0)
            var chunks: [(end: Int, milliseconds: Double)] = []
            _ = try session.extend(by: tokens, attention: attention) { end in
                let now = ContinuousClock.now
                chunks.append((end, (now - last) / .milliseconds(1) / Double(end - done)))
                (last, done) = (now, end)
                progress(end)
            }
            self.chunks = chunks
            return (ContinuousClock.now - start) / .seconds(1)
        }

        /// Answers a question greedily and forgets it again.
        func answer(_ prompt: [Int]) throws -> (tokens: [Int], seconds: Double) {
            let before = session.count
            defer { try? session.truncate(to: before) }
            let start = ContinuousClock.now
            let options = GenerationOptions(maxTokens: Demonstration.longestAnswer, attention: attention)
            var continuation = try Continuation(session, prompt: prompt, options: options)
            var tokens: [Int] = []
            while let piece = try continuation.next() { tokens.append(piece.token) }
            return (tokens, (ContinuousClock.now - start) / .seconds(1))
        }

        /// What each layer's indexer selects to predict each token of an answer.
        func looks(_ prompt: [Int], answer: [Int]) throws -> [[[Int32]]] {
            let before = session.count
            defer { try? session.truncate(to: before) }
            var looks = [[[Int32]]](repeating: [], count: answer.count)
            let probe = StageProbe { stage, _, value in
                guard stage == .selection, case .selection(let selection) = value else { return }
                for index in answer.indices {
                    let row = selection[selection.queryTokens - answer.count + index]
                    looks[index].append(row.filter { $0 >= 0 }.sorted())
                }
            }
            _ = try session.extendWithAllLogits(
                by: prompt + answer.dropLast(),
                options: ForwardOptions(attention: attention, probe: probe)
            )
            return looks
        }

        /// What a token of the document took around a position.
        func prefillMilliseconds(at position: Int) -> Double {
            (chunks.first { $0.end >= position } ?? chunks.last)?.milliseconds ?? 0
        }

        /// What the token behind a position takes; the session is cut there.
        func stepMilliseconds(at position: Int, steps: Int) throws -> Double {
            try session.truncate(to: position)
            var best = Double.infinity
            for _ in 0..<steps {
                let start = ContinuousClock.now
                _ = try session.extend(by: [0], attention: attention)
                best = min(best, (ContinuousClock.now - start) / .milliseconds(1))
                try session.truncate(to: position)
            }
            return best
        }
    }
}

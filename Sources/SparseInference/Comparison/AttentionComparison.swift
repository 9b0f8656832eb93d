import Foundation
import SparseAttention

/// A model with dense attention against the same model with sparse attention, on one text.
///
/// Both read the text side by side, a chunk at a time. Of the sparse side, some query tokens are watched: what each head
/// would attend to if it saw everything, and how much of that is kept by the selection, by the best tokens for all heads
/// together, by the last tokens, and by a random set of as many.
///
/// What a random set keeps is not drawn but exact: of all sets of k out of n visible tokens each token is in the share k / n,
/// and the attention of a head sums to one, so their mean is k / n whatever the head attends to.
public struct AttentionComparison {
    /// The result.
    public struct Report: Equatable, Sendable, Codable {
        /// The tokens of the text.
        public var length: Int
        /// The tokens the indexer selects.
        public var k: Int
        /// All predictions of the text.
        public var whole: Stretch
        /// The same by position.
        public var stretches: [Stretch]
        /// What is kept, by layer; empty for texts no longer than k, or a model without indexer.
        public var layers: [Layer]
    }

    /// The predictions of a stretch of text.
    public struct Stretch: Equatable, Sendable, Codable {
        /// The first position.
        public var start: Int
        /// The position behind the last.
        public var end: Int
        /// The mean Kullback-Leibler divergence of sparse from dense predictions, in nats.
        public var divergence: Double
        /// How often both find the same token most likely.
        public var agreement: Double
        /// `exp` of the mean loss with dense attention.
        public var densePerplexity: Double
        /// The same with sparse attention.
        public var sparsePerplexity: Double
    }

    /// What a choice of tokens keeps of the attention of a layer.
    public struct Layer: Equatable, Sendable, Codable {
        /// The layer.
        public var layer: Int
        /// Kept by the selection, for each head.
        public var heads: [Double]
        /// Kept by the selection, heads averaged, for each stretch; nil where nothing had to be chosen.
        public var stretches: [Double?]
        /// Kept by the selection.
        public var selected: Double
        /// Kept by the best tokens for all heads together.
        public var best: Double
        /// Kept by the last tokens.
        public var window: Double
        /// Kept by a random set: the exact mean over all sets of k visible tokens, k / visible.
        public var random: Double
    }

    private let model: LanguageModel

    /// Stretches of a text.
    private static let stretches = 32
    /// Query tokens watched, about.
    private static let watched = 256

    /// A comparison on a model.
    public init(_ model: LanguageModel) {
        self.model = model
    }

    /// Reads a text both ways.
    ///
    /// - Parameters:
    ///   - tokens: at least two.
    ///   - progress: called with the number of tokens read.
    /// - Returns: how the two differ.
    /// - Throws: `SparseInferenceError.request` for tokens that cannot be read.
    public func run(_ tokens: [Int], progress: (Int) -> Void = { _ in }) throws -> Report {
        guard tokens.count >= 2 else { throw SparseInferenceError.request(.emptyPrompt) }
        let k = model.configuration.indexer?.topK ?? tokens.count
        let (dense, sparse) = (
            try Session(model, capacity: tokens.count), try Session(model, capacity: tokens.count)
        )
        let size = max(1, (tokens.count + Self.stretches - 1) / Self.stretches)
        var predictions = Array(repeating: Predictions(), count: (tokens.count + size - 1) / size)
        let kept = Kept(k: k, layers: model.configuration.layers, stretch: size, count: predictions.count)
        let every = max(1, (tokens.count - k) / Self.watched)
        let observer = AttentionObserver {
            $0 >= k && ($0 - k) % every == 0
        } observe: {
            kept.add($0)
        }
        for start in stride(from: 0, to: tokens.count, by: Session.defaultChunk) {
            let chunk = Array(tokens[start..<min(start + Session.defaultChunk, tokens.count)])
            let first = try dense.extendWithAllLogits(by: chunk, options: ForwardOptions(attention: .dense))
            let second = try sparse.extendWithAllLogits(
                by: chunk,
                options: ForwardOptions(attention: .sparse, observer: observer)
            )
            first.withMatrix { first in
                second.withMatrix { second in
                    for row in 0..<chunk.count where start + row + 1 < tokens.count {
                        predictions[(start + row) / size].add(
                            first[row],
                            second[row],
                            count: first.columns,
                            next: tokens[start + row + 1]
                        )
                    }
                }
            }
            progress(start + chunk.count)
        }
        let all = predictions.reduce(into: Predictions()) { $0.add($1) }
        return Report(
            length: tokens.count,
            k: k,
            whole: all.stretch(0..<tokens.count),
            stretches: predictions.enumerated().filter { $1.count > 0 }.map { index, part in
                part.stretch(index * size..<min((index + 1) * size, tokens.count))
            },
            layers: kept.layers
        )
    }
}

// MARK: - Sums

/// Sums over predictions.
private struct Predictions {
    var count = 0
    private var divergence = 0.0
    private var agreements = 0
    private var losses = (dense: 0.0, sparse: 0.0)

    mutating func add(_ other: Predictions) {
        count += other.count
        divergence += other.divergence
        agreements += other.agreements
        losses.dense += other.losses.dense
        losses.sparse += other.losses.sparse
    }

    mutating func add(
        _ dense: UnsafePointer<Float>,
        _ sparse: UnsafePointer<Float>,
        count: Int,
        next: Int
    ) {
        let (first, second) = (Self.logSum(dense, count), Self.logSum(sparse, count))
        var (best, other) = (0, 0)
        var sum = 0.0
        for token in 0..<count {
            if dense[token] > dense[best] { best = token }
            if sparse[token] > sparse[other] { other = token }
            let logarithm = Double(dense[token]) - first
            sum += exp(logarithm) * (logarithm - Double(sparse[token]) + second)
        }
        self.count += 1
        divergence += max(0, sum)
        agreements += best == other ? 1 : 0
        losses.dense += first - Double(dense[next])
        losses.sparse += second - Double(sparse[next])
    }

    private static func logSum(_ row: UnsafePointer<Float>, _ count: Int) -> Double {
        let largest = Double(Kernels.maximum(row, count: count))
        return largest + log((0..<count).reduce(0.0) { $0 + exp(Double(row[$1]) - largest) })
    }

    func stretch(_ range: Range<Int>) -> AttentionComparison.Stretch {
        let count = Double(max(count, 1))
        return AttentionComparison.Stretch(
            start: range.lowerBound,
            end: range.upperBound,
            divergence: divergence / count,
            agreement: Double(agreements) / count,
            densePerplexity: exp(losses.dense / count),
            sparsePerplexity: exp(losses.sparse / count)
        )
    }
}

/// Sums over watched query tokens.
private final class Kept {
    private let k: Int
    private let stretch: Int
    private var sums: [Sums]

    private struct Sums {
        var count = 0
        var heads: [Double] = []
        var stretches: [(sum: Double, count: Int)]
        var best = 0.0
        var window = 0.0
        var random = 0.0
    }

    init(k: Int, layers: Int, stretch: Int, count: Int) {
        self.k = k
        self.stretch = stretch
        sums = Array(repeating: Sums(stretches: Array(repeating: (0, 0), count: count)), count: layers)
    }

    func add(_ observation: AttentionObserver.Observation) {
        guard let selected = observation.selected else { return }
        let visible = observation.position + 1
        let used = selected.filter { $0 >= 0 }.map(Int.init)
        observation.weights.withMatrix { weights in
            var mean = [Double](repeating: 0, count: visible)
            var sum = sums[observation.layer]
            if sum.heads.isEmpty { sum.heads = Array(repeating: 0, count: weights.rows) }
            for head in 0..<weights.rows {
                let row = weights[head]
                for token in 0..<visible { mean[token] += Double(row[token]) / Double(weights.rows) }
                sum.heads[head] += used.reduce(0.0) { $0 + Double(row[$1]) }
            }
            sum.count += 1
            sum.best += mean.sorted(by: >).prefix(k).reduce(0, +)
            sum.window += mean.suffix(k).reduce(0, +)
            sum.random += min(1, Double(k) / Double(visible))
            let place = observation.position / stretch
            sum.stretches[place].sum += used.reduce(0.0) { $0 + mean[$1] }
            sum.stretches[place].count += 1
            sums[observation.layer] = sum
        }
    }

    /// What is kept, by layer.
    var layers: [AttentionComparison.Layer] {
        sums.enumerated().filter { $1.count > 0 }.map { layer, sum in
            let count = Double(sum.count)
            let heads = sum.heads.map { $0 / count }
            return AttentionComparison.Layer(
                layer: layer,
                heads: heads,
                stretches: sum.stretches.map { $0.count > 0 ? $0.sum / Double($0.count) : nil },
                selected: heads.reduce(0, +) / Double(max(heads.count, 1)),
                best: sum.best / count,
                window: sum.window / count,
                random: sum.random / count
            )
        }
    }
}

import Foundation

/// How far the indexer's scores are from the attention they stand for: `KL(target ‖ softmax(I))`.
///
/// The target is the main attention, softmax of each head, summed over heads and divided by its sum.
///
/// Source: V3.2-Exp report §2.1, equations 3 and 4.
public struct IndexerDivergence: Sendable {
    /// Over which tokens the two distributions are compared.
    public enum Domain: Equatable, Sendable {
        /// All visible tokens: the dense warm-up, equation 3.
        case visible
        /// The selected tokens, where the main attention is itself a softmax over them: sparse training,
        /// equation 4.
        case selected(TokenSelection)
        /// The selected tokens, the target being the dense one cut to them and divided by its sum.
        case renormalized(TokenSelection)
    }

    /// What the scores are to match, `[queryTokens, keyTokens]`; 0 outside the domain.
    public let target: Tensor
    /// The divergence of each query token in nats, `[queryTokens]`.
    public let perQuery: Tensor

    /// The sum over query tokens, in nats.
    public var sum: Float { Float(perQuery.elements.reduce(0.0) { $0 + Double($1) }) }

    /// Measures the divergence, in `Double`.
    ///
    /// - Parameters:
    ///   - scores: `[queryTokens, keyTokens]`, the index scores.
    ///   - attentionScores: `[heads, queryTokens, keyTokens]`, scaled, before softmax. Query `i` sees keys up to
    ///     `keyTokens - queryTokens + i`; other entries of both arguments are not read.
    ///   - domain: over which tokens.
    /// - Throws: `SparseAttentionError` when arguments do not fit together.
    public init(
        of scores: Tensor,
        from attentionScores: Tensor,
        over domain: Domain
    ) throws(SparseAttentionError) {
        guard scores.shape.rank == 2 else {
            throw .dimensionMismatch(.rank, argument: "scores", expected: 2, found: scores.shape.rank)
        }
        guard attentionScores.shape.rank == 3 else {
            throw .dimensionMismatch(
                .rank,
                argument: "attentionScores",
                expected: 3,
                found: attentionScores.shape.rank
            )
        }
        let (heads, queryTokens, keyTokens) = (attentionScores.shape[0], scores.shape[0], scores.shape[1])
        guard queryTokens <= keyTokens else {
            throw .invalidSetting(
                name: "queryTokens",
                found: "\(queryTokens)",
                expected: "at most the \(keyTokens) key tokens"
            )
        }
        guard attentionScores.shape == [heads, queryTokens, keyTokens] else {
            throw .shapeMismatch(
                argument: "attentionScores",
                expected: [heads, queryTokens, keyTokens],
                found: attentionScores.shape
            )
        }
        let chosen = try Self.positions(domain, queryTokens: queryTokens, keyTokens: keyTokens)
        var target = Tensor(repeating: 0, shape: scores.shape)
        var perQuery = Tensor(repeating: 0, shape: [queryTokens])
        for query in 0..<queryTokens {
            let visible = Array(0...keyTokens - queryTokens + query)
            let kept = chosen.map { $0[query] } ?? visible
            let attended = if case .selected = domain { kept } else { visible }
            var mass = [Double](repeating: 0, count: keyTokens)
            for head in 0..<heads {
                let row = (head * queryTokens + query) * keyTokens
                let weights = Softmax.reference(attended.map { Double(attentionScores[row + $0]) })
                for (key, weight) in zip(attended, weights) {
                    mass[key] += weight
                }
            }
            let total = kept.reduce(0) { $0 + mass[$1] }
            let logits = kept.map { Double(scores[query * keyTokens + $0]) }
            let largest = logits.max() ?? 0
            let logSumExp = largest + log(logits.reduce(0) { $0 + exp($1 - largest) })
            var divergence = 0.0
            for (key, logit) in zip(kept, logits) {
                let probability = mass[key] / total
                target[query * keyTokens + key] = Float(probability)
                if probability > 0 {
                    divergence += probability * (log(probability) - (logit - logSumExp))
                }
            }
            perQuery[query] = Float(divergence)
        }
        self.target = target
        self.perQuery = perQuery
    }

    /// The positions of the domain that each query sees; nil for all.
    private static func positions(
        _ domain: Domain,
        queryTokens: Int,
        keyTokens: Int
    ) throws(SparseAttentionError) -> [[Int]]? {
        switch domain {
        case .visible: return nil
        case .selected(let selection), .renormalized(let selection):
            guard selection.queryTokens == queryTokens else {
                throw .dimensionMismatch(
                    .queryTokens,
                    argument: "selection",
                    expected: queryTokens,
                    found: selection.queryTokens
                )
            }
            return selection.sets.enumerated().map { query, set in
                set.map(Int.init).filter { $0 <= keyTokens - queryTokens + query }
            }
        }
    }
}

public import SparseAttention

/// Keeps the load of experts even with little in the way of the language model's loss.
///
/// Source: DeepSeek-V3 report §2.1.2: auxiliary-loss-free load balancing, and equations 17 to 20.
public enum LoadBalancing {
    /// The correction bias after a step: `speed` higher where the load is below the mean, lower where it is above.
    ///
    /// - Parameters:
    ///   - bias: `[experts]`.
    ///   - load: the tokens each expert was given, `[experts]`.
    ///   - speed: the step γ.
    /// - Returns: `[experts]`; an expert exactly at the mean keeps its bias.
    public static func updated(_ bias: [Float], load: [Int], speed: Float) -> [Float] {
        let (total, experts) = (load.reduce(0, +), load.count)
        return zip(bias, load).map { bias, load in
            bias + speed * Float((total - load * experts).signum())
        }
    }

    /// How far the busiest expert is above the mean, as a share of it, mean over layers: 0 where all are given the same.
    ///
    /// Source: Wang et al. 2024, *Auxiliary-Loss-Free Load Balancing*, the maximal violation of §4.1.
    ///
    /// - Parameter loads: the tokens each expert of each layer was given; a dense layer's is empty.
    /// - Returns: nil where no layer has experts.
    public static func violation(of loads: [[Int]]) -> Double? {
        let layers = loads.filter { !$0.isEmpty }.map { load in
            Double(load.max() ?? 0) * Double(load.count) / Double(max(load.reduce(0, +), 1)) - 1
        }
        return layers.isEmpty ? nil : layers.reduce(0, +) / Double(layers.count)
    }

    /// A loss that keeps the experts of one sequence even, `alpha · Σ_i f_i P_i`.
    public struct SequenceLoss {
        /// The share of the tokens that would choose each expert by score alone, times `experts / expertsPerToken`.
        public let frequencies: [Float]
        /// The mean of each expert's share of a token's scores.
        public let shares: [Float]
        /// The loss.
        public let loss: Float
        /// Its gradient with respect to the scores, `[tokens, experts]`; frequencies are constants.
        public let scoreGradients: Tensor

        /// The loss of one sequence.
        ///
        /// - Parameters:
        ///   - scores: the sigmoid scores, without bias, `[tokens, experts]`.
        ///   - expertsPerToken: how many a token chooses.
        ///   - alpha: what the loss counts for.
        /// - Throws: `SparseAttentionError.invalidSetting` unless a token chooses one expert to all of them.
        public init(scores: Tensor, expertsPerToken: Int, alpha: Float) throws(SparseAttentionError) {
            guard scores.shape.rank == 2 else {
                throw .dimensionMismatch(.rank, argument: "scores", expected: 2, found: scores.shape.rank)
            }
            let (tokens, experts) = (scores.shape[0], scores.shape[1])
            guard (1...max(experts, 1)).contains(expertsPerToken) else {
                throw .invalidSetting(
                    name: "experts per token",
                    found: "\(expertsPerToken)",
                    expected: "1 to \(experts)"
                )
            }
            let rows = (0..<tokens).map { token in (0..<experts).map { Double(scores[token * experts + $0]) }
            }
            var counts = [Int](repeating: 0, count: experts)
            var shares = [Double](repeating: 0, count: experts)
            for row in rows {
                let sum = row.reduce(0, +)
                let order = row.indices.sorted { row[$0] > row[$1] || (row[$0] == row[$1] && $0 < $1) }
                for expert in order.prefix(expertsPerToken) {
                    counts[expert] += 1
                }
                for expert in row.indices {
                    shares[expert] += row[expert] / sum / Double(tokens)
                }
            }
            let frequencies = counts.map {
                Double($0) * Double(experts) / Double(expertsPerToken * tokens)
            }
            var gradients = Tensor(uninitialized: scores.shape)
            for (token, row) in rows.enumerated() {
                // P_i = mean of s_i / Σ s: dP_i / ds_j = (1[i = j] − s_i / Σ s) / (Σ s · tokens)
                let sum = row.reduce(0, +)
                let mean = zip(frequencies, row).reduce(0) { $0 + $1.0 * $1.1 } / sum
                for expert in row.indices {
                    let slope = (frequencies[expert] - mean) / (sum * Double(tokens))
                    gradients[token * experts + expert] = Float(Double(alpha) * slope)
                }
            }
            self.frequencies = frequencies.map { Float($0) }
            self.shares = shares.map { Float($0) }
            loss = Float(Double(alpha) * zip(frequencies, shares).reduce(0) { $0 + $1.0 * $1.1 })
            scoreGradients = gradients
        }
    }
}

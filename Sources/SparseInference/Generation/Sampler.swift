import Foundation

/// Chooses tokens from logits.
package struct Sampler {
    private let sampling: Sampling
    private var generator: SplitMix64

    /// A sampler whose draws, if any, begin at the seed.
    ///
    /// - Parameter sampling: how to choose, in its valid range.
    package init(_ sampling: Sampling) {
        self.sampling = sampling
        if case .random(_, _, _, _, let seed) = sampling {
            generator = SplitMix64(state: seed)
        } else {
            generator = SplitMix64(state: 0)
        }
    }

    /// Chooses a token.
    ///
    /// - Parameter logits: one a token of the vocabulary, finite.
    /// - Returns: the token's id.
    package mutating func choose(_ logits: [Float]) -> Int {
        guard case .random(let temperature, let topK, let topP, let minP, _) = sampling else {
            return logits.indices.reduce(0) { logits[$1] > logits[$0] ? $1 : $0 }
        }
        var order = logits.indices.sorted {
            logits[$0] > logits[$1] || (logits[$0] == logits[$1] && $0 < $1)
        }
        if let topK { order = Array(order.prefix(topK)) }
        let best = Double(logits[order[0]])
        // Relative to the best, whose weight is 1.
        var weights = order.map { exp((Double(logits[$0]) - best) / temperature) }
        let total = weights.reduce(0, +)
        var mass = 0.0
        let kept = weights.firstIndex { weight in
            mass += weight
            return mass >= topP * total
        }
        weights = weights.prefix((kept ?? weights.count - 1) + 1).filter { $0 >= minP }
        var draw = Double.random(in: 0..<weights.reduce(0, +), using: &generator)
        for (token, weight) in zip(order, weights) {
            draw -= weight
            if draw < 0 { return token }
        }
        return order[weights.count - 1]
    }
}

/// A small random number generator whose sequence a seed determines on every platform.
///
/// Source: Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators".
package struct SplitMix64: RandomNumberGenerator {
    var state: UInt64

    /// The sequence of a seed.
    package init(state: UInt64) {
        self.state = state
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

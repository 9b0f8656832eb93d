/// A small generator whose numbers depend on its seed alone (SplitMix64).
///
/// Source: Steele, Lea and Flood 2014, figure 17.
package struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    /// A generator that starts from a seed.
    package init(seed: UInt64) {
        state = seed
    }

    /// The next 64 bits.
    package mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var bits = state
        bits = (bits ^ (bits >> 30)) &* 0xBF58_476D_1CE4_E5B9
        bits = (bits ^ (bits >> 27)) &* 0x94D0_49BB_1331_11EB
        return bits ^ (bits >> 31)
    }

    /// A multiple of 2^-23 in `-1 ..< 1`.
    package mutating func uniform() -> Float {
        Float(Int32(truncatingIfNeeded: next() >> 40) - 1 << 23) * 0x1p-23
    }

    /// An integer of a range.
    package mutating func integer(in range: ClosedRange<Int>) -> Int {
        range.lowerBound + Int(next() % UInt64(range.count))
    }

    /// The numbers `0 ..< count` in a random order.
    package mutating func permutation(of count: Int) -> [Int] {
        Array(0..<count).shuffled(using: &self)
    }
}

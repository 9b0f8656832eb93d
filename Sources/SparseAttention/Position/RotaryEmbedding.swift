import Foundation

/// Rotary position embedding: turns pairs of elements by an angle that grows with the position.
///
/// The angle is `float32(position) · inverseFrequency`, rounded to float32: part of the definition, since one
/// unit in the last place moves the angle at position 163,839 by about 0.01 rad.
public struct RotaryEmbedding: Equatable, Sendable {
    /// The turned elements of a vector, even.
    public let dim: Int
    /// Radians a position, one for each pair, `[dim / 2]`.
    public let inverseFrequencies: [Float]
    /// What cosine and sine are multiplied by; 1 without YaRN.
    public let rotationScale: Float

    /// An embedding with the frequencies `theta^(-2i / dim)`, stretched by YaRN when given.
    ///
    /// - Parameters:
    ///   - dim: the turned elements of a vector, even and at least 2.
    ///   - theta: the base, positive.
    ///   - yarn: how frequencies are stretched.
    /// - Throws: `SparseAttentionError.invalidSetting`.
    ///
    /// Source: Hugging Face `modeling_rope_utils.py`, `_compute_yarn_parameters`, in float32 as there.
    public init(dim: Int, theta: Double, yarn: YaRN? = nil) throws(SparseAttentionError) {
        guard dim >= 2, dim % 2 == 0 else {
            throw .invalidSetting(name: "rope dim", found: "\(dim)", expected: "an even number, at least 2")
        }
        guard theta > 0, theta.isFinite else {
            throw .invalidSetting(name: "rope theta", found: "\(theta)", expected: "a positive number")
        }
        let powers = (0..<dim / 2).map { Float(pow(theta, Double(Float(2 * $0) / Float(dim)))) }
        self.dim = dim
        guard let yarn else {
            inverseFrequencies = powers.map { 1 / $0 }
            rotationScale = 1
            return
        }
        guard yarn.factor >= 1, yarn.factor.isFinite, yarn.originalPositions > 0 else {
            throw .invalidSetting(
                name: "YaRN",
                found: "factor \(yarn.factor), original positions \(yarn.originalPositions)",
                expected: "a factor of at least 1 and a positive number of positions"
            )
        }
        let ramp = Self.slowedShare(dim: dim, theta: theta, yarn: yarn)
        inverseFrequencies = zip(powers, ramp).map { power, slowed in
            let kept = 1 - slowed
            return 1 / (Float(yarn.factor) * power) * (1 - kept) + 1 / power * kept
        }
        rotationScale = Float(yarn.rotationScale)
    }

    /// An embedding with given frequencies.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` when there are none.
    public init(inverseFrequencies: [Float], rotationScale: Float = 1) throws(SparseAttentionError) {
        guard !inverseFrequencies.isEmpty else {
            throw .invalidSetting(name: "inverse frequencies", found: "none", expected: "at least one")
        }
        dim = 2 * inverseFrequencies.count
        self.inverseFrequencies = inverseFrequencies
        self.rotationScale = rotationScale
    }

    /// How much each pair is slowed: 0 for fast ones, 1 for slow ones, a ramp between, `[dim / 2]`.
    private static func slowedShare(dim: Int, theta: Double, yarn: YaRN) -> [Float] {
        func pair(turning rotations: Double) -> Double {
            Double(dim) * log(Double(yarn.originalPositions) / (rotations * 2 * .pi)) / (2 * log(theta))
        }
        let low = max(pair(turning: yarn.betaFast).rounded(.down), 0)
        var high = min(pair(turning: yarn.betaSlow).rounded(.up), Double(dim - 1))
        if low == high { high += 0.001 }
        return (0..<dim / 2).map { index in
            min(max((Float(index) - Float(low)) / Float(high - low), 0), 1)
        }
    }
}

// MARK: - Rotation

extension RotaryEmbedding {
    /// Cosine and sine of a run of positions.
    public struct Rotation: Sendable {
        /// `[positions, dim / 2]`, with the rotation scale multiplied in.
        public let cosines: Tensor
        /// `[positions, dim / 2]`, with the rotation scale multiplied in.
        public let sines: Tensor

        /// The rotation the other way round, with the same scale: what turns gradients back.
        package var transposed: Rotation {
            Rotation(cosines: cosines, sines: sines.scaled(by: -1))
        }
    }

    /// Cosine and sine at the given positions.
    ///
    /// - Throws: `SparseAttentionError.positionOutOfRange` for a negative position.
    public func rotation(at positions: some Collection<Int>) throws(SparseAttentionError) -> Rotation {
        var cosines = Tensor(uninitialized: Shape(trusted: [positions.count, dim / 2]))
        var sines = cosines
        for (row, position) in positions.enumerated() {
            guard position >= 0 else {
                throw .positionOutOfRange(position: position, allowed: 0..<Int.max)
            }
            for (pair, frequency) in inverseFrequencies.enumerated() {
                let angle = Double(Float(position) * frequency)
                let index = row * inverseFrequencies.count + pair
                cosines[index] = Float(cos(angle)) * rotationScale
                sines[index] = Float(sin(angle)) * rotationScale
            }
        }
        return Rotation(cosines: cosines, sines: sines)
    }

    /// Turns part of every vector in place.
    ///
    /// - Parameters:
    ///   - vectors: `[positions, …, width]`; the first dimension must be that of `rotation`.
    ///   - offset: where in a vector the turned elements begin.
    ///   - rotation: cosine and sine of the vectors' positions.
    ///   - layout: which elements form a pair; the layout is kept.
    /// - Throws: `SparseAttentionError.dimensionMismatch`.
    ///
    /// Source: V3.2-Exp `inference/model.py`, `apply_rotary_emb`.
    public func rotate(
        _ vectors: inout Tensor,
        at offset: Int = 0,
        by rotation: Rotation,
        layout: RopeLayout
    ) throws(SparseAttentionError) {
        let positions = rotation.cosines.shape[0]
        let width = vectors.shape.columns
        guard vectors.shape.rank >= 2, vectors.shape[0] == positions else {
            let found = vectors.shape.dimensions.first ?? 0
            throw .dimensionMismatch(.queryTokens, argument: "vectors", expected: positions, found: found)
        }
        guard rotation.cosines.shape[1] == dim / 2 else {
            let found = 2 * rotation.cosines.shape[1]
            throw .dimensionMismatch(.ropeDim, argument: "rotation", expected: dim, found: found)
        }
        guard offset >= 0, offset + dim <= width else {
            throw .dimensionMismatch(.ropeDim, argument: "vectors", expected: offset + dim, found: width)
        }
        let half = dim / 2
        let vectorsPerPosition = positions == 0 ? 0 : vectors.shape.rows / positions
        let (pairStep, partner) = layout == .interleaved ? (2, 1) : (1, half)
        vectors.withMutableElements { elements in
            rotation.cosines.withElements { cosines in
                rotation.sines.withElements { sines in
                    for row in 0..<positions * vectorsPerPosition {
                        let start = row * width + offset
                        let angles = row / vectorsPerPosition * half
                        for pair in 0..<half {
                            let first = start + pair * pairStep
                            let (a, b) = (elements[first], elements[first + partner])
                            let (cosine, sine) = (cosines[angles + pair], sines[angles + pair])
                            elements[first] = a * cosine - b * sine
                            elements[first + partner] = b * cosine + a * sine
                        }
                    }
                }
            }
        }
    }
}

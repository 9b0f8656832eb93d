import Foundation
import SparseInference

/// Guesses from the numbers alone why a stage differs.
enum StageHint {
    /// How closely a guess has to explain a difference, as a share of the largest element.
    private static let tolerance: Float = 1e-3

    /// A likely cause, or nil.
    static func cause(_ ours: [Float], _ theirs: [Float], width: Int, stage: Stage?) -> String? {
        if let factor = factor(ours, theirs) {
            return "theirs is ours times \(factor): a scale factor"
        }
        if stage == .headWeights || stage == .latents || stage == .hidden,
            ours.map({ Float(bitPattern: roundedBits($0)) }) == theirs
        {
            return "theirs is ours rounded to bfloat16"
        }
        guard let stage, [.indexQueries, .indexKeys, .ropeKeys].contains(stage), width > 1 else { return nil }
        for dim in [width, width / 2, width / 4] where dim >= 4 && dim % 2 == 0 {
            if matches(permuted(ours, width, dim, toHalves: true), theirs)
                || matches(permuted(ours, width, dim, toHalves: false), theirs)
            {
                return "equal once pairs are reordered in the first \(dim) elements of a head: "
                    + "RoPE layout, interleaved against half-split"
            }
        }
        return nil
    }

    /// The bits of a number rounded to bfloat16, nearest, ties to even.
    private static func roundedBits(_ x: Float) -> UInt32 {
        let bits = x.bitPattern
        return (bits &+ 0x7FFF &+ (bits >> 16 & 1)) & 0xFFFF_0000
    }

    private static func factor(_ ours: [Float], _ theirs: [Float]) -> Float? {
        var (dot, square) = (0.0, 0.0)
        for (a, b) in zip(ours, theirs) where a.isFinite && b.isFinite {
            dot += Double(a) * Double(b)
            square += Double(a) * Double(a)
        }
        guard square > 0, dot != 0 else { return nil }
        let factor = Float(dot / square)
        // A factor of 1 would call mere noise a cause.
        guard abs(factor - 1) > tolerance else { return nil }
        return matches(ours.map { $0 * factor }, theirs) ? factor : nil
    }

    private static func permuted(_ rows: [Float], _ width: Int, _ dim: Int, toHalves: Bool) -> [Float] {
        var result = rows
        for start in stride(from: 0, to: rows.count, by: width) {
            for pair in 0..<dim / 2 {
                for side in 0..<2 {
                    let (near, far) = (start + 2 * pair + side, start + pair + side * dim / 2)
                    result[toHalves ? far : near] = rows[toHalves ? near : far]
                }
            }
        }
        return result
    }

    private static func matches(_ a: [Float], _ b: [Float]) -> Bool {
        let top = b.reduce(Float(0)) { $1.isFinite ? max($0, $1.magnitude) : $0 }
        return zip(a, b).allSatisfy { $0 == $1 || abs($0 - $1) <= tolerance * top }
    }
}

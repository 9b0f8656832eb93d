import Foundation
import SparseInference

/// How far two correct engines may lie apart, by the numerics they ran.
///
/// In float32 they differ in the order of sums alone: every number within 1e-4 of the largest of its tensor. Where
/// activations are rounded or quantized, a sum in another order can turn a rounding, which moves a few numbers by a
/// whole step: there at most one row in fifty may point elsewhere, and at most one code in fifty may lie more than
/// one step apart, as the conformance data's README bounds them.
struct StageNoise {
    /// Floats may differ by this share of the largest.
    private static let float32Bound = 1e-4
    /// Rows whose cosine is larger agree, in rounded numerics.
    private static let smallestCosine = 0.999
    /// The share of rows or codes that may disagree.
    private static let disagreeingShare = 0.02

    private let bound: Double?  // nil: rounded numerics, judged by cosines

    /// Scores closer together than this share of the largest are tied for a selection.
    let tie: Double

    init(_ metadata: [[String: String]], bound: Double?) {
        let names = metadata.compactMap { $0["precision"] }
        let isRounded = names.contains { $0 != "\(LanguageModel.Precision.float32)" }
        self.bound = bound ?? (isRounded ? nil : Self.float32Bound)
        tie = bound ?? (isRounded ? Self.disagreeingShare : Self.float32Bound)
    }

    /// Compares rows of numbers.
    func compare(_ a: [Float], _ b: [Float], width: Int, into row: inout StageDiff.Row) {
        var (largest, top, isBroken) = (0.0, 0.0, false)
        var whole = Moments()
        var turned = 0
        for start in stride(from: 0, to: a.count, by: max(width, 1)) {
            var moments = Moments()
            for index in start..<min(start + width, a.count) {
                let (x, y) = (a[index], b[index])
                if x.isFinite, y.isFinite {
                    largest = max(largest, Double(abs(x - y)))
                    top = max(top, Double(y.magnitude))
                    moments.add(Double(x), Double(y))
                } else if x != y, !(x.isNaN && y.isNaN) {
                    isBroken = true
                }
            }
            if !(moments.cosine > Self.smallestCosine) { turned += 1 }
            whole.add(moments)
        }
        row.largest = isBroken ? .infinity : largest
        row.cosine = whole.cosine
        row.misfit = isBroken ? 1 : min(1, whole.distance)
        row.bound = bound ?? Self.disagreeingShare
        if isBroken {
            row.error = .infinity
            row.note = "NaN or infinities stand in other places"
        } else if bound != nil {
            row.error = largest == 0 ? 0 : largest / max(top, .leastNormalMagnitude)
        } else {
            row.error = Double(turned) / Double(max(a.count / max(width, 1), 1))
        }
    }

    /// Compares E4M3 codes.
    func compareCodes(_ a: some Collection<UInt8>, _ b: some Collection<UInt8>, into row: inout StageDiff.Row)
    {
        let steps = zip(a, b).map { abs(Self.rank($0) - Self.rank($1)) }
        let count = Double(max(steps.count, 1))
        row.misfit = Double(steps.count { $0 > 0 }) / count
        row.error = Double(steps.count { $0 > 1 }) / count
        row.bound = Self.disagreeingShare
        if row.misfit > 0 {
            row.note = "\(steps.count { $0 > 0 }) codes differ, by up to \(steps.max() ?? 0) steps"
        }
    }

    /// Codes in the order of their values; neighbours are one step apart.
    private static func rank(_ code: UInt8) -> Int {
        code & 0x80 == 0 ? Int(code) : -Int(code & 0x7F)
    }
}

/// The sums behind a cosine and a distance.
private struct Moments {
    private var (dot, left, right, difference) = (0.0, 0.0, 0.0, 0.0)

    mutating func add(_ x: Double, _ y: Double) {
        dot += x * y
        left += x * x
        right += y * y
        difference += (x - y) * (x - y)
    }

    mutating func add(_ other: Moments) {
        dot += other.dot
        left += other.left
        right += other.right
        difference += other.difference
    }

    /// 1 for equal vectors, those of length 0 included.
    var cosine: Double {
        if difference == 0 { return 1 }
        let product = left * right
        return product == 0 ? 0 : dot / product.squareRoot()
    }

    /// The length of the difference as a share of the second vector's length.
    var distance: Double {
        difference == 0 ? 0 : (difference / max(right, .leastNormalMagnitude)).squareRoot()
    }
}

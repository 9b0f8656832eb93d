import SparseAttention

/// Ways to compare a result with golden data.
enum Comparison {
    /// The largest `|a − b| / (1 + |b|)`: at most `bound` where `|a − b| <= bound + bound · |b|`.
    ///
    /// Infinities and NaN have to stand in the same places.
    static func close(_ found: [Float], _ expected: [Float], bound: Double, as what: String = "")
        -> Measurement
    {
        worst(found, expected, bound: bound, as: what) { abs($0 - $1) / (1 + abs($1)) }
    }

    /// The largest `|a − b|`.
    static func absolute(_ found: [Float], _ expected: [Float], bound: Double, as what: String = "")
        -> Measurement
    {
        worst(found, expected, bound: bound, as: what) { abs($0 - $1) }
    }

    /// The largest `|a − b|` as a share of the largest `|b|`.
    static func relativeToLargest(
        _ found: [Float],
        _ expected: [Float],
        bound: Double,
        as what: String = ""
    ) -> Measurement {
        let largest = Double(expected.reduce(0) { max($0, $1.magnitude) })
        return worst(found, expected, bound: bound, as: what) {
            abs($0 - $1) / max(largest, .leastNormalMagnitude)
        }
    }

    /// How many elements differ in some bit; every NaN counts as equal to every other.
    static func bitwise(_ found: [Float], _ expected: [Float], as what: String = "") -> Measurement {
        guard found.count == expected.count else {
            return wrongCount(found.count, expected.count, bound: 0, what)
        }
        let differing = found.indices.filter {
            found[$0].bitPattern != expected[$0].bitPattern && !(found[$0].isNaN && expected[$0].isNaN)
        }
        return Measurement(error: Double(differing.count), bound: 0, place: place(what, differing.first))
    }

    /// How many elements differ.
    static func equal<Element: Equatable>(
        _ found: [Element],
        _ expected: [Element],
        as what: String = ""
    ) -> Measurement {
        guard found.count == expected.count else {
            return wrongCount(found.count, expected.count, bound: 0, what)
        }
        let differing = found.indices.filter { found[$0] != expected[$0] }
        return Measurement(error: Double(differing.count), bound: 0, place: place(what, differing.first))
    }

    static func worst(
        _ found: [Float],
        _ expected: [Float],
        bound: Double,
        as what: String,
        _ error: (Double, Double) -> Double
    ) -> Measurement {
        guard found.count == expected.count else {
            return wrongCount(found.count, expected.count, bound: bound, what)
        }
        var result = Measurement(error: 0, bound: bound, place: what)
        for (index, (a, b)) in zip(found, expected).enumerated() {
            if a == b || (a.isNaN && b.isNaN) { continue }
            guard a.isFinite, b.isFinite else {
                return Measurement(error: .infinity, bound: bound, place: place(what, index))
            }
            let difference = error(Double(a), Double(b))
            if difference > result.error {
                result = Measurement(error: difference, bound: bound, place: place(what, index))
            }
        }
        return result
    }

    private static func wrongCount(_ found: Int, _ expected: Int, bound: Double, _ what: String)
        -> Measurement
    {
        Measurement(error: .infinity, bound: bound, place: "\(what): \(found) elements, expected \(expected)")
    }

    private static func place(_ what: String, _ index: Int?) -> String {
        index.map { what.isEmpty ? "element \($0)" : "\(what)[\($0)]" } ?? what
    }
}

extension Outcome {
    /// The worst of several measurements, those out of bounds first.
    static func worst(_ measurements: [Measurement]) -> Outcome {
        guard let first = measurements.first else { return .failed("nothing was compared") }
        return .measured(measurements.dropFirst().reduce(first) { $0.worse($1) })
    }
}

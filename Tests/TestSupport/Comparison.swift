/// How an array differs from the one it should equal.
package struct Comparison {
    /// Where one of the two is NaN or infinite and the other is not the same, the first few.
    package let specialMismatches: [Int]
    /// `‖found − expected‖ / ‖expected‖` over finite elements; the absolute norm when `expected` is zero.
    package let relativeL2: Double
    /// The index of the largest difference, nil for empty arrays.
    package let worst: Int?

    private let found: [Float]
    private let expected: [Double]

    /// Compares arrays of one length.
    package init(_ found: [Float], with expected: [Double]) {
        precondition(found.count == expected.count, "\(found.count) elements against \(expected.count)")
        self.found = found
        self.expected = expected
        var (error, norm, largest) = (0.0, 0.0, -1.0)
        var mismatches: [Int] = []
        var worst: Int?
        for (index, (a, b)) in zip(found, expected).enumerated() {
            guard a.isFinite, b.isFinite else {
                let isSame = (a.isNaN && b.isNaN) || Double(a) == b
                if !isSame { mismatches.append(index) }
                continue
            }
            let difference = (Double(a) - b).magnitude
            error += difference * difference
            norm += b * b
            if difference > largest { (largest, worst) = (difference, index) }
        }
        specialMismatches = Array(mismatches.prefix(5))
        relativeL2 = norm > 0 ? (error / norm).squareRoot() : error.squareRoot()
        self.worst = mismatches.first ?? worst
    }

    /// Whether both agree on NaN and infinities and the relative L2 distance is within a bound.
    package func isWithin(_ bound: Double) -> Bool {
        specialMismatches.isEmpty && relativeL2 <= bound
    }

    /// What to print when the two differ too much.
    package func explanation(bound: Double) -> String {
        let element = worst.map { "; worst at \($0): \(found[$0]), expected \(expected[$0])" } ?? ""
        return specialMismatches.isEmpty
            ? "relative L2 \(relativeL2) > \(bound)\(element)"
            : "NaN or infinity differ at \(specialMismatches)\(element)"
    }
}

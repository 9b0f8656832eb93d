/// One comparison with golden data: what it is called, and how to carry it out.
package struct ConformanceCase {
    /// Where in the folder the data lies and what is compared, such as `ops/attention.mha`.
    package let name: String
    /// Carries the comparison out; an error counts as a miss.
    package let run: () throws -> Outcome

    /// A case.
    package init(_ name: String, run: @escaping () throws -> Outcome) {
        self.name = name
        self.run = run
    }

    /// A case that this version does not run, and why.
    package static func skipped(_ name: String, because reason: String) -> ConformanceCase {
        ConformanceCase(name) { .skipped(reason) }
    }
}

/// What became of a case.
package enum Outcome: Equatable, Sendable {
    /// The comparison was made.
    case measured(Measurement)
    /// The comparison could not be made, or showed a difference that no number describes.
    case failed(String)
    /// This version does not run the case.
    case skipped(String)
}

/// The largest error of a comparison, beside the bound it has to keep.
package struct Measurement: Equatable, Sendable {
    /// The largest error; 0 when every bit agrees, NaN when it cannot be told.
    package var error: Double
    /// The largest error allowed; 0 where every bit has to agree.
    package let bound: Double
    /// Where the largest error is, or what diverges first.
    package var place: String

    /// A measurement.
    package init(error: Double, bound: Double, place: String = "") {
        self.error = error
        self.bound = bound
        self.place = place
    }

    /// Whether the error is within its bound.
    package var isPassed: Bool { error <= bound }

    /// The worse of two measurements with one bound; the first when both are alike.
    package func worse(_ other: Measurement) -> Measurement {
        let (mine, others) = (error.isNaN ? .infinity : error, other.error.isNaN ? .infinity : other.error)
        let (share, otherShare) = bound == other.bound ? (mine, others) : (mine / bound, others / other.bound)
        return otherShare > share || (other.isPassed != isPassed && isPassed) ? other : self
    }
}

import Foundation

/// Where one growing cost overtakes another.
enum Crossing {
    /// Between two measured positions, interpolated.
    case at(Double)
    /// Already at the first measured position.
    case upTo(Int)
    /// Not up to the last measured position.
    case beyond(Int)

    /// Finds the position from which `rising` stays above `other`.
    ///
    /// Between two positions the logarithm of the ratio is taken as linear in the logarithm of the position.
    ///
    /// - Parameter points: ascending in position, at least one.
    init(_ points: [(position: Int, rising: Double, other: Double)]) {
        precondition(!points.isEmpty)
        guard let below = points.lastIndex(where: { $0.rising <= $0.other }) else {
            self = .upTo(points[0].position)
            return
        }
        guard below + 1 < points.count else {
            self = .beyond(points[below].position)
            return
        }
        let (a, b) = (points[below], points[below + 1])
        let (low, high) = (log(a.rising / a.other), log(b.rising / b.other))
        let share = low == high ? 0 : -low / (high - low)
        self = .at(exp(log(Double(a.position)) + share * log(Double(b.position) / Double(a.position))))
    }

    /// The position, when it lies between two measured ones.
    var position: Double? {
        guard case .at(let position) = self else { return nil }
        return position
    }
}

extension Crossing: CustomStringConvertible {
    var description: String {
        switch self {
        case .at(let position): "at \(Int(position.rounded())) tokens"
        case .upTo(let position): "at or before \(position) tokens"
        case .beyond(let position): "not up to \(position) tokens"
        }
    }
}

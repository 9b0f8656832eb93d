import Foundation

/// One direction of a panel: which values it shows, where, and which of them are named.
public struct Axis {
    /// What the values are, unit included.
    public let label: String
    /// The values shown.
    public let range: ClosedRange<Double>
    /// Whether equal ratios are equal distances; equal differences are otherwise.
    public let isLogarithmic: Bool
    /// The values named, with their names.
    public let ticks: [(value: Double, name: String)]

    /// An axis with the ticks given.
    public init(
        _ label: String,
        _ range: ClosedRange<Double>,
        isLogarithmic: Bool = false,
        ticks: [(value: Double, name: String)]
    ) {
        self.label = label
        self.range = range
        self.isLogarithmic = isLogarithmic
        self.ticks = ticks
    }

    /// A logarithmic axis around positive values, with ticks at 1, 2 and 5 of each decade.
    ///
    /// Half a step of room on either side, so that no point touches the frame.
    public static func logarithmic(_ label: String, around values: [Double]) -> Axis {
        let positive = values.filter { $0 > 0 && $0.isFinite }
        let range = (positive.min() ?? 1) / 1.4...(positive.max() ?? 10) * 1.6
        let decades = Int(log10(range.lowerBound).rounded(.down))...Int(log10(range.upperBound).rounded(.up))
        let ticks = decades.flatMap { decade in [1.0, 2, 5].map { $0 * pow(10, Double(decade)) } }
        return Axis(
            label,
            range,
            isLogarithmic: true,
            ticks: ticks.filter(range.contains).map { ($0, name($0)) }
        )
    }

    /// A linear axis over values, with four to ten round ticks.
    public static func linear(_ label: String, over values: [Double], from start: Double? = nil) -> Axis {
        let finite = values.filter(\.isFinite)
        let low = start ?? finite.min() ?? 0
        let high = max(finite.max() ?? 1, low + 1e-9)
        let rough = (high - low) / 5
        let decade = pow(10, log10(rough).rounded(.down))
        let step = [1.0, 2, 5, 10].map { $0 * decade }.first { $0 >= rough } ?? rough
        let ticks = stride(from: (low / step).rounded(.up) * step, through: high, by: step)
        return Axis(label, low...high, ticks: ticks.map { ($0, name($0)) })
    }

    /// Three significant digits, and no more than there are.
    public static func name(_ value: Double) -> String {
        abs(value) >= 99.5 ? String(format: "%.0f", value) : String(format: "%.3g", value)
    }

    /// Where a value lies, from 0 at the lower end to 1 at the upper.
    func share(of value: Double) -> Double {
        let (low, high) = (range.lowerBound, range.upperBound)
        guard low < high else { return 0.5 }
        return isLogarithmic ? log(value / low) / log(high / low) : (value - low) / (high - low)
    }
}

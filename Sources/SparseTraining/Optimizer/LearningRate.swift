import Foundation

/// The learning rate of each step: up in a line from 0 to its peak, then constant, or down a cosine to its end.
public struct LearningRate: Equatable, Sendable, Codable {
    /// What follows the warm-up.
    public enum Shape: String, Sendable, Codable {
        /// The peak.
        case constant
        /// From the peak to the end along half a cosine.
        case cosine
    }

    /// The highest rate.
    public var peak: Float
    /// The rate of the last step of a cosine.
    public var end: Float
    /// Steps of the rise.
    public var warmUpSteps: Int
    /// What follows.
    public var shape: Shape

    /// A schedule.
    public init(peak: Float, end: Float = 0, warmUpSteps: Int = 0, shape: Shape = .constant) {
        self.peak = peak
        self.end = end
        self.warmUpSteps = warmUpSteps
        self.shape = shape
    }

    /// The rate of a step.
    ///
    /// - Parameters:
    ///   - step: from 0.
    ///   - steps: how many there are.
    /// - Returns: the rate.
    public func rate(at step: Int, of steps: Int) -> Float {
        if step < warmUpSteps { return peak * Float(step + 1) / Float(warmUpSteps) }
        guard shape == .cosine, steps > warmUpSteps + 1 else { return peak }
        let share = Double(step - warmUpSteps) / Double(steps - warmUpSteps - 1)
        return end + (peak - end) * Float((1 + cos(min(share, 1) * .pi)) / 2)
    }
}

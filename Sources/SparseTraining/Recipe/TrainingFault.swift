/// Why a run ends before its recipe does.
public enum TrainingFault: Error, Equatable, Sendable {
    /// The gradient is not finite; the learning rate is too high.
    case diverged(stage: String, step: Int)
    /// The folder holds a run of another recipe or model.
    case anotherRun(file: String)
    /// A loss trains what it should not.
    case mixedLosses(stage: String)
    /// The state of a run is damaged.
    case damagedState(reason: String)
}

extension TrainingFault: CustomStringConvertible {
    /// The fault in words.
    public var description: String {
        switch self {
        case .diverged(let stage, let step):
            "the gradient of step \(step) of stage \(stage) is not finite, expected a lower learning rate"
        case .anotherRun(let file):
            "\(file) in the folder is another one, expected an empty folder or the same run"
        case .mixedLosses(let stage):
            "at stage \(stage) the trunk learns from the indexers' loss or they from the trunk's, expected neither"
        case .damagedState(let reason): "the state of the run is damaged: \(reason)"
        }
    }
}

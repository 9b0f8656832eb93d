import Foundation
import SparseTraining

extension TrainingRun.Progress {
    /// Shows one line a step on a terminal, and one in a hundred elsewhere.
    ///
    /// - Parameter part: the part of a larger run, if any.
    func show(in part: String? = nil) {
        let line = (part.map { "\($0): " } ?? "") + self.line
        if Terminal.isInteractive {
            Terminal.progress(line)
        } else if step % 100 == 0 || step == steps || step == 1 {
            Terminal.note(line)
        }
    }

    private var line: String {
        func figure(_ name: String, _ value: Double?) -> String {
            value.map { String(format: " · \(name) %.4f", $0) } ?? ""
        }
        return "\(stage) \(step)/\(steps)" + figure("loss", loss) + figure("answers", answerLoss)
            + figure("indexer", indexerLoss) + figure("taught", taught) + figure("reward", policy?.reward)
            + figure("right", policy?.accuracy)
            + String(
                format: " · norm %.2f · %.0f tokens/s · %.0f s left",
                gradientNorm,
                Double(tokens) / seconds,
                seconds * Double(steps - step)
            )
    }
}

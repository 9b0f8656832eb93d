import SparseAttention
import SparseInference

extension Operators {
    /// The weights of a token's experts as a function of its scores; which experts are chosen is a constant.
    public enum Routing {
        /// The gradient of the router's logits.
        ///
        /// The weights are the chosen scores, divided by their sum where the rule says so, times a scale; scores are
        /// sigmoids of the logits.
        ///
        /// - Parameters:
        ///   - gradients: those of the weights, one a chosen expert, for each token.
        ///   - choices: the experts chosen for each token.
        ///   - scores: the sigmoids, `[tokens, experts]`.
        ///   - rule: how weights come from scores.
        ///   - scoreGradients: further gradients of the scores, such as the balance loss's, `[tokens, experts]`.
        /// - Returns: `[tokens, experts]`.
        static func backward(
            _ gradients: [[Float]],
            choices: [Router.Choice],
            scores: Tensor,
            rule: Router.Rule,
            scoreGradients: Tensor?
        ) -> Tensor {
            let experts = scores.shape[1]
            var logits = scoreGradients ?? Tensor(repeating: 0, shape: scores.shape)
            logits.withMutableElements { logits in
                scores.withElements { scores in
                    for (token, choice) in choices.enumerated() {
                        let start = token * experts
                        let sum =
                            rule.normalizes
                            ? choice.reduce(Router.smallestSum) { $0 + scores[start + $1.expert] } : 1
                        // d weight_i / d score_j = scale (1[i = j] / sum − score_i / sum²), the latter if normalised.
                        let shared =
                            rule.normalizes
                            ? zip(choice, gradients[token]).reduce(0) {
                                $0 + scores[start + $1.0.expert] * $1.1
                            } / (sum * sum) : 0
                        for (slot, gradient) in zip(choice, gradients[token]) {
                            logits[start + slot.expert] += rule.scale * (gradient / sum - shared)
                        }
                    }
                    for index in logits.indices {
                        logits[index] *= scores[index] * (1 - scores[index])
                    }
                }
            }
            return logits
        }
    }
}

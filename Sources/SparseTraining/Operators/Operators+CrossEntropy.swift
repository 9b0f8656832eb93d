import Foundation
public import SparseAttention

extension Operators {
    /// Cross-entropy of the next token, through the output projection, tile by tile of tokens.
    ///
    /// Logits of all tokens at once would be the largest tensor of a step; only a tile of them is ever kept.
    public enum CrossEntropy {
        /// Tokens whose logits are kept at once.
        private static let tileTokens = 256

        /// What each row is to predict.
        public struct Target: Sendable {
            /// The token.
            public let token: Int
            /// What its loss counts for in the gradient; 0 leaves it out.
            public var weight: Float
            /// The tokens it was drawn from, itself among them; the whole vocabulary when nil.
            public let candidates: [Int]?

            /// A token, and what its loss counts for.
            public init(token: Int, weight: Float, candidates: [Int]? = nil) {
                self.token = token
                self.weight = weight
                self.candidates = candidates
            }
        }

        /// Losses and gradients of `Σ weight · loss`.
        public struct Result {
            /// The loss of each row in nats, `[n]`, not weighted.
            public let losses: [Float]
            /// `[n, hiddenDim]`.
            public let input: Tensor
            /// `[vocabularySize, hiddenDim]`.
            public let weight: Tensor
        }

        /// The losses of rows, and the gradients of input and projection.
        ///
        /// - Parameters:
        ///   - input: `[n, hiddenDim]`, after the final normalisation.
        ///   - weight: the output projection, `[vocabularySize, hiddenDim]`.
        ///   - targets: `[n]`, tokens of the vocabulary.
        ///   - workers: the threads to use.
        /// - Returns: losses and gradients.
        public static func run(
            _ input: Tensor,
            _ weight: Tensor,
            targets: [Target],
            workers: Workers = .all
        ) -> Result {
            var inputGradient = Tensor(uninitialized: input.shape)
            var weightGradient = Tensor(repeating: 0, shape: weight.shape)
            let losses = forEachTile(input, weight, targets, workers) { tokens, rows, logits in
                let gradients = Linear.backward(logits, input: rows, weight: weight, workers: workers)
                inputGradient.setRows(tokens, to: gradients.input)
                weightGradient.add(gradients.weight)
            }
            return Result(losses: losses, input: inputGradient, weight: weightGradient)
        }

        /// The losses alone.
        ///
        /// - Parameters: as of `run`.
        /// - Returns: the loss of each row in nats, `[n]`, not weighted.
        static func losses(
            _ input: Tensor,
            _ weight: Tensor,
            targets: [Target],
            workers: Workers
        ) -> [Float] {
            forEachTile(input, weight, targets, workers) { _, _, _ in }
        }

        /// The losses of all rows; lends the gradients of the logits of each tile, with the rows they belong to.
        private static func forEachTile(
            _ input: Tensor,
            _ weight: Tensor,
            _ targets: [Target],
            _ workers: Workers,
            _ body: (_ tokens: Range<Int>, _ rows: Tensor, _ logitGradients: Tensor) -> Void
        ) -> [Float] {
            precondition(targets.count == input.shape.rows)
            var losses = Tensor(uninitialized: [targets.count])
            for start in stride(from: 0, to: targets.count, by: tileTokens) {
                let tokens = start..<min(start + tileTokens, targets.count)
                let rows = input.rows(tokens)
                var logits = Linear.forward(rows, weight, workers: workers)
                losses.withMutableMatrix { losses in
                    logits.forEachTile(workers: workers) { range, logits in
                        for row in range {
                            let target = targets[start + row]
                            keep(target.candidates, in: logits[row], count: logits.columns)
                            losses.base[start + row] = differentiate(
                                logits[row],
                                target: target,
                                count: logits.columns
                            )
                        }
                    }
                }
                body(tokens, rows, logits)
            }
            return losses.elements
        }

        /// Hides all logits but those of candidates.
        private static func keep(_ candidates: [Int]?, in logits: UnsafeMutablePointer<Float>, count: Int) {
            guard let candidates else { return }
            let kept = candidates.map { logits[$0] }
            logits.update(repeating: -.infinity, count: count)
            for (token, logit) in zip(candidates, kept) { logits[token] = logit }
        }

        /// Replaces a row's logits by their gradient, `weight · (softmax − one-hot)`; returns the loss.
        private static func differentiate(
            _ logits: UnsafeMutablePointer<Float>,
            target: Target,
            count: Int
        ) -> Float {
            let largest = Kernels.maximum(logits, count: count)
            let aimed = logits[target.token]
            let sum = Kernels.exponentiate(logits, scale: 1, shift: largest, count: count)
            Kernels.scale(logits, by: target.weight / sum, count: count)
            logits[target.token] -= target.weight
            return log(sum) + largest - aimed
        }
    }
}

import SparseAttention
import SparseInference

extension TrainableModel {
    /// The log-probability of each token but the first, given those before it.
    ///
    /// - Parameters:
    ///   - tokens: the sequence.
    ///   - candidates: of each but the first, the tokens it was drawn from; the whole vocabulary when nil.
    ///   - replay: the experts and selections to use instead of the model's own choice.
    ///   - parameters: those of the model.
    ///   - attention: which tokens the attention sees.
    /// - Returns: `[tokens − 1]`.
    /// - Throws: as `accumulate`.
    func logProbabilities(
        _ tokens: [Int],
        candidates: [[Int]?],
        replay: Replay? = nil,
        _ parameters: ParameterSet,
        attention: TrainingMode.Attention
    ) throws -> [Float] {
        try validate(tokens)
        try parameters.validate(for: configuration)
        let pass = try forward(
            tokens,
            parameters,
            rotation: rope.rotation(at: 0..<tokens.count),
            mode: TrainingMode(attention: attention, trainsTrunk: false, trainsIndexer: false),
            replay: replay
        )
        let targets = zip(tokens.dropFirst(), candidates).map {
            Operators.CrossEntropy.Target(token: $0, weight: 0, candidates: $1)
        }
        return Operators.CrossEntropy.losses(
            try norm(Self.finalNorm, parameters)(pass.hidden).rows(0..<targets.count),
            parameters[head],
            targets: targets,
            workers: workers
        ).map { -$0 }
    }
}

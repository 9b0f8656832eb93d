import SparseAttention

/// Where a run is, and everything its next step depends on.
struct TrainingState {
    var parameters: ParameterSet
    var optimizer = AdamW()
    /// The stage under way.
    var stage = 0
    /// The steps of the stage done.
    var step = 0
    /// The sequences of all stages seen.
    var items = 0

    init(parameters: ParameterSet) {
        self.parameters = parameters
    }

    /// Takes one step of the optimizer.
    mutating func update(by gradients: ParameterSet, workers: Workers, learningRate: (String) -> Float) {
        optimizer.update(&parameters, by: gradients, workers: workers, learningRate: learningRate)
    }

    /// Goes on to the next stage.
    mutating func beginNextStage() {
        stage += 1
        step = 0
        optimizer = AdamW()
    }
}

import SparseAttention
import SparseInference

/// What share of dense attention a budget of tokens keeps, by different choices of them.
///
/// Taken over query tokens beyond twice the budget, heads averaged: the indexer's choice, the last tokens, and the best
/// choice there is for all heads together.
public struct AttentionMass: Equatable, Sendable, Codable {
    /// Kept by the indexer's selection, for each layer that has an indexer.
    public var selected: [Double]
    /// Kept by the last tokens.
    public var window: [Double]
    /// Kept by the tokens that all heads together attend to most.
    public var best: [Double]

    /// The means over layers.
    public var mean: (selected: Double, window: Double, best: Double) {
        func mean(_ values: [Double]) -> Double { values.reduce(0, +) / Double(max(values.count, 1)) }
        return (mean(selected), mean(window), mean(best))
    }
}

extension TrainableModel {
    /// Measures the attention mass that selections of a sequence keep.
    ///
    /// - Parameters:
    ///   - tokens: longer than twice the model's top-k.
    ///   - parameters: those of the model.
    ///   - step: every how manyth query token is looked at.
    /// - Returns: shares for each layer; empty for a model without indexer.
    /// - Throws: as `accumulate`.
    public func attentionMass(_ tokens: [Int], _ parameters: ParameterSet, every step: Int = 16) throws
        -> AttentionMass
    {
        var mass = AttentionMass(selected: [], window: [], best: [])
        try forEachDenseLayer(tokens, parameters) { attention, trace in
            guard let indexer = attention.indexer, let indexed = trace.indexer,
                let selection = try indexer.select(indexed, SequencePack([tokens]))
            else { return }
            let weights = attention.mass(trace, parameters)
            let queries = Array(stride(from: 2 * selection.slots, to: tokens.count, by: max(step, 1)))
            var sums = (selected: 0.0, window: 0.0, best: 0.0)
            for token in queries {
                var row = Tensor(repeating: 0, shape: [1, token + 1])
                row.withMutableMatrix { weights.write(token..<token + 1, into: $0) }
                let values = row.elements
                sums.selected += selection[token].reduce(0.0) { $1 < 0 ? $0 : $0 + Double(values[Int($1)]) }
                sums.window += values.suffix(selection.slots).reduce(0.0) { $0 + Double($1) }
                sums.best += values.sorted(by: >).prefix(selection.slots).reduce(0.0) { $0 + Double($1) }
            }
            let count = Double(max(queries.count, 1))
            mass.selected.append(sums.selected / count)
            mass.window.append(sums.window / count)
            mass.best.append(sums.best / count)
        }
        return mass
    }
}

import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// One training step on one sequence: dense against sparse, both through the whole model and back.
struct TrainSuite {
    /// The model.
    let model: TrainableModel
    /// Its parameters.
    let parameters: ParameterSet
    /// How often each step runs.
    let repetitions: Int
    /// The sequences of a step that is run as one and sequence by sequence; 1 for none.
    let sequences: Int

    /// What one length showed.
    struct Row: Encodable {
        /// Tokens of the sequence.
        let length: Int
        /// Milliseconds of a step with dense attention, median.
        let denseMilliseconds: Double
        /// Milliseconds of a step of sparse training, the indexer's loss included, median.
        let sparseMilliseconds: Double
        /// The most memory a step of either held beyond what was held before, in bytes; nil where the system does not
        /// tell.
        let peakBytes: Int?
        /// The time of a sparse step sequence by sequence, over that of all as one; nil for a single sequence.
        let packedRatio: Double?
    }

    /// Times both kinds of step in turn.
    ///
    /// - Parameters:
    ///   - length: tokens of the sequence.
    ///   - seed: of the tokens.
    /// - Returns: medians.
    /// - Throws: what `TrainableModel` throws.
    func row(_ length: Int, seed: UInt64) throws -> Row {
        var generator = SplitMix64(state: seed)
        let tokens = (0..<length).map { _ in
            Int.random(in: 0..<model.configuration.vocabularySize, using: &generator)
        }
        let example = TrainableModel.Example(tokens: tokens, weight: 1 / Float(length))
        let tells = ProcessMemory.resetPeak()
        let before = ProcessMemory.peak
        var times: (dense: [Double], sparse: [Double]) = ([], [])
        for _ in 0..<repetitions {
            times.dense.append(try time([[example]], .densePretraining))
            times.sparse.append(try time([[example]], .sparseTraining))
        }
        return Row(
            length: length,
            denseMilliseconds: Samples(times.dense).median,
            sparseMilliseconds: Samples(times.sparse).median,
            peakBytes: tells ? ProcessMemory.peak - before : nil,
            packedRatio: sequences > 1 ? try packedRatio(example) : nil
        )
    }

    private func packedRatio(_ example: TrainableModel.Example) throws -> Double {
        let examples = Array(repeating: example, count: sequences)
        var times: (apart: [Double], packed: [Double]) = ([], [])
        for _ in 0..<repetitions {
            times.apart.append(try time(examples.map { [$0] }, .sparseTraining))
            times.packed.append(try time([examples], .sparseTraining))
        }
        return Samples(times.apart).median / Samples(times.packed).median
    }

    /// The time of a step over packs of sequences.
    private func time(_ packs: [[TrainableModel.Example]], _ mode: TrainingMode) throws -> Double {
        try ContinuousClock().measure {
            var sum = ParameterSet()
            for pack in packs { _ = try model.accumulate(pack, parameters, mode: mode, into: &sum) }
        }.milliseconds
    }
}

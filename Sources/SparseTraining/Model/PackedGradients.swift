import SparseAttention
import SparseInference

/// Gradients of many sequences, pack by pack.
///
/// Packs run side by side, each on one thread, or one after the other on all of them, where they are few; their gradients
/// are added in their order. So either way and with any number of threads every bit is the same.
struct PackedGradients: Sendable {
    private let alone: TrainableModel  // on one thread
    private let together: TrainableModel  // on all of them
    private let workers: Workers

    /// Packs that run side by side, unless there are more threads: each holds gradients of its own.
    private static let group = 8
    /// From this many packs on they run side by side, unless there are more threads: three on two would leave one waiting,
    /// and long sequences hold much memory.
    private static let enough = 4

    init(_ configuration: ModelConfiguration, topK: Int?, workers: Workers) throws {
        alone = try TrainableModel(configuration, topK: topK, workers: .one)
        together = try TrainableModel(configuration, topK: topK, workers: workers)
        self.workers = workers
    }

    /// Runs all packs.
    ///
    /// - Parameters:
    ///   - lengths: the tokens of each sequence.
    ///   - body: runs a range of the sequences as one pack; what it gives are gradients of its own.
    /// - Returns: the sum of all gradients, and what `body` gave, in order.
    /// - Throws: what `body` throws.
    func run<Part: Sendable>(
        _ lengths: [Int],
        _ body:
            @Sendable (_ model: TrainableModel, _ sequences: Range<Int>, _ gradients: inout ParameterSet)
            throws -> Part
    ) throws -> (gradients: ParameterSet, parts: [Part]) {
        @Sendable func run(_ model: TrainableModel, _ pack: Range<Int>) throws -> (ParameterSet, Part) {
            var gradients = ParameterSet()
            let part = try body(model, pack, &gradients)
            return (gradients, part)
        }
        let packs = SequencePack.parts(lengths)
        let isWide = packs.count >= max(Self.enough, workers.count)
        let group = isWide ? max(Self.group, workers.count) : 1
        var (sum, parts) = (ParameterSet(), [Part]())
        for start in stride(from: 0, to: packs.count, by: group) {
            let group = Array(packs[start..<min(start + group, packs.count)])
            let results =
                isWide
                ? try workers.map(count: group.count) { try run(alone, group[$0]) }
                : [try run(together, group[0])]
            sum = try ParameterSet(sumOf: [sum] + results.map(\.0), workers: workers)
            parts += results.map(\.1)
        }
        return (sum, parts)
    }

    /// What a function of the model gives for each pack.
    ///
    /// - Parameters: as of `run`.
    /// - Returns: what `body` gave, in order.
    func map<Part: Sendable>(
        _ lengths: [Int],
        _ body: @Sendable (_ model: TrainableModel, _ sequences: Range<Int>) throws -> Part
    ) throws -> [Part] {
        let packs = SequencePack.parts(lengths)
        return try workers.map(count: packs.count) { try body(alone, packs[$0]) }
    }
}

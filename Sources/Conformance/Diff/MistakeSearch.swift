package import Foundation
package import SparseInference

/// Asks which known mistake gives the numbers in which two dumps differ.
package struct MistakeSearch {
    /// Which of two dumps has the numbers of a mistake.
    package enum Side: String, Sendable {
        case ours, theirs
    }

    /// A mistake, and how much of the difference it explains.
    package struct Explanation: Equatable, Sendable {
        /// The mistake.
        package let mistake: Mistake
        /// Whose numbers it gives.
        package let side: Side
        /// The share of the difference that goes away when we make it too, from 0 to 1.
        package let share: Double
    }

    /// Why there is no answer.
    package enum Fault: Error, Equatable {
        /// The checkpoint gives the numbers of neither dump, so it cannot be the one that was run.
        case otherCheckpoint
    }

    /// A mistake explains a difference when at least this share of it goes away.
    private static let explainedShare = 0.9
    /// Mistakes that leave less than this many times the least remainder are not told apart.
    private static let alike = 2.0

    /// The dump of the run both engines made, with a mistake or without.
    private let dump: (Mistake?) throws -> SafetensorsFile

    /// A search among dumps that are made as they are asked for.
    package init(dump: @escaping (Mistake?) throws -> SafetensorsFile) {
        self.dump = dump
    }

    /// A search with the checkpoint that both engines ran.
    ///
    /// - Parameters:
    ///   - ours: a dump with `input_ids`, whose metadata tell how it was made.
    ///   - folder: the checkpoint.
    /// - Throws: for a file that lies.
    package init(_ ours: SafetensorsFile, model folder: URL) throws {
        let run = StageDump.Run(ours.metadata)
        let tokens = try ours.int32s(of: "input_ids").map(Int.init)
        self.init { mistake in
            let scratch = FileManager.default.temporaryDirectory
                .appendingPathComponent("\(UUID().uuidString).safetensors")
            defer { try? FileManager.default.removeItem(at: scratch) }
            let model = try LanguageModel(contentsOf: folder, precision: run.precision, mistake: mistake)
            try StageDump(of: tokens, on: model, run: run).write(to: scratch)
            return try SafetensorsFile(contentsOf: scratch)
        }
    }

    /// Runs the tokens with every known mistake and keeps those that explain the difference.
    ///
    /// - Parameters:
    ///   - ours: a dump.
    ///   - theirs: a dump that differs.
    ///   - progress: called before each mistake.
    /// - Returns: the mistakes that explain it best, best first; empty when none does.
    /// - Throws: `Fault`, or for a model that cannot be run.
    package func explanations(
        of ours: SafetensorsFile,
        _ theirs: SafetensorsFile,
        progress: (Mistake) -> Void = { _ in }
    ) throws -> [Explanation] {
        let whole = try StageDiff(ours, theirs).misfit
        guard whole > 0 else { return [] }
        let right = try dump(nil)
        let (toOurs, toTheirs) = (try StageDiff(right, ours).misfit, try StageDiff(right, theirs).misfit)
        guard min(toOurs, toTheirs) <= (1 - Self.explainedShare) * whole else { throw Fault.otherCheckpoint }
        let (side, wrong): (Side, _) = toOurs <= toTheirs ? (.theirs, theirs) : (.ours, ours)
        let remainders = try Mistake.allCases.map { mistake in
            progress(mistake)
            return (mistake, try StageDiff(dump(mistake), wrong).misfit)
        }
        let explaining = remainders.filter { $0.1 <= (1 - Self.explainedShare) * whole }
            .sorted { $0.1 < $1.1 }
        guard let least = explaining.first?.1 else { return [] }
        return explaining.filter { $0.1 <= Self.alike * least }.map {
            Explanation(mistake: $0.0, side: side, share: 1 - $0.1 / whole)
        }
    }
}

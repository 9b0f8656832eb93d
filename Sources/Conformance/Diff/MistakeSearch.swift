package import Foundation
package import SparseInference

/// Asks which known mistake gives another engine's numbers.
package enum MistakeSearch {
    /// Runs the same tokens with every known mistake and keeps those from which theirs does not part.
    ///
    /// - Parameters:
    ///   - theirs: a dump of the other engine, with `input_ids` and one other stage at least.
    ///   - folder: the checkpoint both engines ran.
    ///   - precision: the numerics to run.
    ///   - bound: the largest difference that counts as noise.
    ///   - progress: called before each mistake.
    /// - Returns: the mistakes that explain every stage theirs holds.
    /// - Throws: for files that cannot be read or a model that cannot be run.
    package static func explanations(
        of theirs: SafetensorsFile,
        model folder: URL,
        precision: LanguageModel.Precision,
        bound: Double = StageDiff.bound,
        progress: (Mistake) -> Void = { _ in }
    ) throws -> [Mistake] {
        let tokens = try theirs.int32s(of: "input_ids").map(Int.init)
        let scratch = FileManager.default.temporaryDirectory
            .appendingPathComponent("\(UUID().uuidString).safetensors")
        defer { try? FileManager.default.removeItem(at: scratch) }
        return try Mistake.allCases.filter { mistake in
            progress(mistake)
            let model = try LanguageModel(contentsOf: folder, precision: precision, mistake: mistake)
            try StageDump(of: tokens, on: model).write(to: scratch)
            let diff = try StageDiff(SafetensorsFile(contentsOf: scratch), theirs, bound: bound)
            return diff.first == nil && diff.rows.count > 1
        }
    }
}

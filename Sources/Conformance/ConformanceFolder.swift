package import Foundation
package import SparseInference

/// A folder of golden data in the form of the project's conformance data.
///
/// Cases are found by looking at what is there, so a folder made with other seeds and sizes runs as well.
package struct ConformanceFolder {
    /// Where the data are.
    package let url: URL
    /// A known mistake that whole models make on purpose; a suite worth its name fails with it.
    package let mistake: Mistake?

    /// A folder.
    package init(_ url: URL, mistake: Mistake? = nil) {
        self.url = url
        self.mistake = mistake
    }

    /// Every case of the folder, in the order of its parts.
    ///
    /// - Throws: when a file that lists cases cannot be read.
    package func cases() throws -> [ConformanceCase] {
        var cases: [ConformanceCase] = []
        if let file = existing("numerics/numerics.safetensors") { cases += try NumericsCases(file).all }
        if let file = existing("ops/ops.safetensors") {
            cases += try OperatorCases(file, parameters: url.appendingPathComponent("ops/ops.json")).all
        }
        for folder in try subfolders("checkpoints") {
            cases += try CheckpointCases(folder, mistake: mistake).all
        }
        if let file = existing("deployed/kv_roundtrip.safetensors") { cases += try RoundTripCases(file).all }
        if let folder = existing("tokenizer") { cases += try TokenizerCases(folder, name: "tokenizer").all }
        cases += try realTokenizerCases()
        if let folder = existing("hostile") { cases += try HostileCases(folder).all }
        if let file = existing("training/training.json") {
            cases += try TrainingCases(file.deletingLastPathComponent()).all
        }
        if let file = existing("chat/cases.json") { cases += try ChatCases(file).all }
        return cases
    }

    /// Cases of a released tokenizer, whose file is stored compressed.
    private func realTokenizerCases() throws -> [ConformanceCase] {
        guard let folder = existing("tokenizer/real") else { return [] }
        guard let archive = existing("tokenizer/real/tokenizer.json.gz") else {
            return try TokenizerCases(folder, name: "tokenizer/real").all
        }
        guard let data = CompressedFile.unpack(archive) else {
            return [
                .skipped("tokenizer/real", because: "tokenizer.json.gz cannot be unpacked: gzip is missing")
            ]
        }
        return try TokenizerCases(folder, name: "tokenizer/real", tokenizer: data).all
    }

    private func existing(_ path: String) -> URL? {
        let candidate = url.appendingPathComponent(path)
        return FileManager.default.fileExists(atPath: candidate.path) ? candidate : nil
    }

    private func subfolders(_ path: String) throws -> [URL] {
        guard let folder = existing(path) else { return [] }
        return try FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()
            .map { folder.appendingPathComponent($0) }
            .filter { FileManager.default.fileExists(atPath: $0.appendingPathComponent("config.json").path) }
    }
}

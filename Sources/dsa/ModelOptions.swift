public import ArgumentParser
import Foundation
public import SparseAttention
public import SparseInference

/// The options of every command that runs a model.
struct ModelOptions: ParsableArguments {
    @Option(help: "The checkpoint's folder: config.json, safetensors, tokenizer.json.")
    var model: String

    @Option(help: "Threads to use; all cores unless said otherwise.")
    var threads: Int?

    /// The threads asked for.
    var workers: Workers {
        get throws { try threads.map { try Workers(count: $0) } ?? .all }
    }

    /// Opens the model.
    func load() throws -> LanguageModel {
        try LanguageModel(contentsOf: folder, workers: workers)
    }

    /// Where the model is.
    var folder: URL { URL(fileURLWithPath: model, isDirectory: true) }
}

extension AttentionMode: ExpressibleByArgument {}
extension StorageFormat: ExpressibleByArgument {}

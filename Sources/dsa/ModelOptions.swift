public import ArgumentParser
import Foundation
public import SparseAttention
public import SparseInference

/// The options of every command that runs a model.
struct ModelOptions: ParsableArguments {
    @OptionGroup var location: ModelLocationOption

    @Option(help: "Threads to use; all cores unless said otherwise.")
    var threads: Int?

    @Option(
        help:
            "float32; bfloat16: weights as stored, factors of products rounded; or deployed or legacy: the arithmetic of the official FP8 demo and of its first revision."
    )
    var precision = PrecisionName.float32

    @Option(help: "How deployed and legacy arithmetic rounds activations: bfloat16 or float32.")
    var activations = StorageFormat.bfloat16

    /// The threads asked for.
    var workers: Workers {
        get throws { try threads.map { try Workers(count: $0) } ?? .all }
    }

    /// Opens the model.
    func load(mistake: Mistake? = nil) throws -> LanguageModel {
        let (folder, workers) = (try location.folder, try workers)
        return try Diagnostics.opening(folder) {
            try LanguageModel(contentsOf: folder, precision: numerics, mistake: mistake, workers: workers)
        }
    }

    private var numerics: LanguageModel.Precision {
        switch precision {
        case .float32: .float32
        case .bfloat16: .bfloat16
        case .deployed: .deployed(activations: activations)
        case .legacy: .legacy(activations: activations)
        }
    }
}

/// The option that names a model.
struct ModelLocationOption: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "The model: a checkpoint's folder, org/name in the Hugging Face cache, or demo, which comes along.",
            valueName: "model"
        )
    )
    var model: String

    /// Where it lies.
    var folder: URL {
        get throws { try Self.folder(of: model) }
    }

    /// Where a model of some name lies.
    static func folder(of name: String) throws -> URL {
        name == DemoModel.name ? try DemoModel.folder : try ModelLocation.folder(name)
    }
}

/// The names of the numerics.
enum PrecisionName: String, ExpressibleByArgument, CaseIterable {
    case float32, bfloat16, deployed, legacy
}

extension AttentionMode: ExpressibleByArgument {}
extension StorageFormat: ExpressibleByArgument {}
extension CacheFormat: ExpressibleByArgument {}

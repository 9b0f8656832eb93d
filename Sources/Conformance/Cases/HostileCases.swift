package import Foundation
package import SparseInference

/// Part E: files that lie, each of which has to be refused with a typed error, and valid controls.
package struct HostileCases {
    private let folder: URL
    private let manifest: [JSONValue]

    init(_ folder: URL) throws {
        try self.init(folder, manifest: readJSON(folder.appendingPathComponent("manifest.json")))
    }

    /// The cases of a folder whose `manifest.json` is read already.
    ///
    /// - Throws: when the manifest holds no list of cases.
    package init(_ folder: URL, manifest: JSONValue) throws {
        self.folder = folder
        self.manifest = try manifest.at("cases").array ?? []
    }

    /// The cases, in the order of the manifest.
    package var all: [ConformanceCase] {
        get throws {
            try manifest.map { item in
                let (name, kind) = (try item.text("name"), try item.text("kind"))
                let isValid = try item.text("expected") == "ok"
                return ConformanceCase("hostile/\(name)") {
                    outcome(of: try load(kind, folder.appendingPathComponent(name)), isValid: isValid)
                }
            }
        }
    }

    /// What loading threw; nil when it succeeded.
    private func load(_ kind: String, _ url: URL) throws -> (any Error)? {
        do {
            switch kind {
            case "safetensors":
                let file = try SafetensorsFile(contentsOf: url.appendingPathComponent("file.safetensors"))
                for name in file.names { _ = file.mappedBytes(of: try file.find(name)).reduce(0, &+) }
            case "config": _ = try ModelConfiguration(contentsOf: url.appendingPathComponent("config.json"))
            case "checkpoint": _ = try LanguageModel(contentsOf: url)
            case "tokenizer": _ = try Tokenizer(contentsOf: url)
            default: throw GoldenFault.missingKey(kind)
            }
            return nil
        } catch let error as GoldenFault {
            throw error
        } catch {
            return error
        }
    }

    private func outcome(of error: (any Error)?, isValid: Bool) -> Outcome {
        switch error {
        case nil:
            isValid ? .measured(Measurement(error: 0, bound: 0)) : .failed("was accepted")
        case let error as SparseInferenceError:
            isValid ? .failed("was refused: \(error)") : .measured(Measurement(error: 0, bound: 0))
        case let error?:
            .failed("was refused with an error that is not this module's: \(error)")
        }
    }
}

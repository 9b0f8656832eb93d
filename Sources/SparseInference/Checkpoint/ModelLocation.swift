public import Foundation

/// Where a model lies that is given by a path, or by its name on the Hugging Face hub.
///
/// Names are looked up in the cache folder that Hugging Face's tools have filled: `HF_HUB_CACHE`, else `HF_HOME/hub`, else
/// `~/.cache/huggingface/hub`. Nothing is downloaded.
public enum ModelLocation {
    /// Finds a model.
    ///
    /// - Parameters:
    ///   - name: the path of a folder, or `organisation/name`.
    ///   - environment: the variables that say where the cache is.
    /// - Returns: the folder with its `config.json`.
    /// - Throws: `SparseInferenceError.request(.unknownModel)`, telling where it was looked for.
    public static func folder(
        _ name: String,
        environment: [String: String] = ProcessInfo.processInfo.environment
    ) throws -> URL {
        let path = URL(fileURLWithPath: name, isDirectory: true)
        if FileManager.default.fileExists(atPath: path.path) { return path }
        let parts = name.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, parts.allSatisfy(isPlain) else {
            throw SparseInferenceError.request(.unknownModel(name, lookedIn: path.path))
        }
        let model = cache(environment).appendingPathComponent("models--\(parts[0])--\(parts[1])")
        guard let snapshot = snapshot(of: model) else {
            throw SparseInferenceError.request(.unknownModel(name, lookedIn: model.path))
        }
        return snapshot
    }

    private static func cache(_ environment: [String: String]) -> URL {
        func folder(_ variable: String) -> URL? {
            environment[variable].flatMap { $0.isEmpty ? nil : URL(fileURLWithPath: $0, isDirectory: true) }
        }
        if let hub = folder("HF_HUB_CACHE") { return hub }
        let general = folder("XDG_CACHE_HOME") ?? home(environment).appendingPathComponent(".cache")
        return (folder("HF_HOME") ?? general.appendingPathComponent("huggingface")).appendingPathComponent(
            "hub"
        )
    }

    private static func home(_ environment: [String: String]) -> URL {
        environment["HOME"].map { URL(fileURLWithPath: $0, isDirectory: true) }
            ?? FileManager.default.homeDirectoryForCurrentUser
    }

    /// The snapshot that `refs/main` names, else the only one there is.
    private static func snapshot(of model: URL) -> URL? {
        let snapshots = model.appendingPathComponent("snapshots")
        func existing(_ revision: some StringProtocol) -> URL? {
            guard isPlain(revision) else { return nil }
            let folder = snapshots.appendingPathComponent(String(revision), isDirectory: true)
            let config = folder.appendingPathComponent("config.json").path
            return FileManager.default.fileExists(atPath: config) ? folder : nil
        }
        let reference = model.appendingPathComponent("refs/main")
        if let revision = try? String(contentsOf: reference, encoding: .utf8),
            let folder = existing(revision.trimmingCharacters(in: .whitespacesAndNewlines))
        {
            return folder
        }
        let all = ((try? FileManager.default.contentsOfDirectory(atPath: snapshots.path)) ?? []).compactMap(
            existing
        )
        return all.count == 1 ? all[0] : nil
    }

    /// Whether a part of a path stays in its folder.
    private static func isPlain(_ part: some StringProtocol) -> Bool {
        !part.isEmpty && !part.hasPrefix(".") && !part.contains("/") && !part.contains("\0")
    }
}

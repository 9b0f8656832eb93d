import Foundation
import Logging
import SparseAttention
import SparseInference

/// What the command line tells about itself: on standard error, and only when the environment names a level.
enum Diagnostics {
    /// The environment variable that names the level: `info` for kernels, threads and times, `debug` for memory too.
    static let environmentVariable = "DSA_LOG"

    /// Where diagnostics go.
    private static let logger: Logger = {
        guard let level else { return Logger(label: "dsa") { _ in SwiftLogNoOpLogHandler() } }
        var logger = Logger(label: "dsa") { StreamLogHandler.standardError(label: $0) }
        logger.logLevel = level
        return logger
    }()

    private static let name = ProcessInfo.processInfo.environment[environmentVariable]
    private static let level = name.flatMap(Logger.Level.init(rawValue:))

    /// Whether the environment names a level, if any.
    ///
    /// - Throws: `SparseAttentionError.invalidSetting` with the names of the levels.
    static func validateEnvironment() throws {
        guard let name, level == nil else { return }
        let levels = Logger.Level.allCases.map(\.rawValue).joined(separator: ", ")
        throw SparseAttentionError.invalidSetting(
            name: environmentVariable,
            found: name,
            expected: "one of \(levels)"
        )
    }

    /// Tells which kernels run.
    ///
    /// - Parameter replaced: OpenBLAS's own choice, where it was made to choose again.
    static func tellKernels(replaced: String?) {
        logger.info(
            "kernels",
            metadata: [
                "simd": "\(Kernels.name)", "openblas": "\(OpenBLAS.kernels)",
                "processors": "\(Workers.all.count)",
            ]
        )
        guard let replaced else { return }
        logger.notice("OpenBLAS did not know the processor", metadata: ["chosen": "\(replaced)"])
    }

    /// Opens a model, and tells how, and how long that took.
    ///
    /// - Parameters:
    ///   - folder: where it lies.
    ///   - open: opens it.
    /// - Returns: the model.
    /// - Throws: what `open` throws.
    static func opening(_ folder: URL, _ open: () throws -> LanguageModel) rethrows -> LanguageModel {
        let start = ContinuousClock.now
        let model = try open()
        logger.info(
            "model opened",
            metadata: [
                "folder": "\(folder.path)", "precision": "\(model.precision)",
                "threads": "\(model.workers.count)", "took": "\(ContinuousClock.now - start)",
            ]
        )
        return model
    }

    /// Tells what the command took.
    static func tellMemory() {
        logger.debug("ended", metadata: ["peak memory": "\(Terminal.bytes(ProcessMemory.peak))"])
    }
}

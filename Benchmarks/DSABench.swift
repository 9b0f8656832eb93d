public import ArgumentParser
import Foundation
public import SparseAttention
public import SparseInference

/// The benchmark executable.
@main
struct DSABench: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dsa-bench",
        abstract: "Measures DeepSeek Sparse Attention on this machine.",
        discussion: """
            Every report heads with the machine and with ceilings measured at its start and end; every figure is a \
            median and a share of a ceiling of the same run. Results are compared with their definitions first.
            """,
        subcommands: [
            CurveCommand.self, KernelsCommand.self, ModelCommand.self, MemoryCommand.self,
            SessionCommand.self, ThreadsCommand.self, TrainCommand.self,
        ],
        defaultSubcommand: CurveCommand.self
    )
}

/// An error as the user reads it.
struct Failure: Error, CustomStringConvertible {
    let description: String
}

/// Runs what may fail, after a check of the environment; an error becomes one line.
func reportingFailure<Result>(_ body: () throws -> Result) throws -> Result {
    do {
        try Kernels.validateEnvironment()
        OpenBLAS.matchProcessor()
        return try body()
    } catch {
        throw Failure(description: "\(error)")
    }
}

/// Writes a file, whole or not at all.
func write(_ data: Data, to path: String) throws {
    do {
        try data.write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
        throw Failure(description: "cannot write \(path): \(error.localizedDescription)")
    }
}

extension ProductArithmetic: ExpressibleByArgument {}
extension CacheFormat: ExpressibleByArgument {}
extension AttentionMode: ExpressibleByArgument {}

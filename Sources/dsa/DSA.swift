import ArgumentParser
import SparseAttention

/// The command-line tool.
@main
struct DSA: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dsa",
        abstract: "DeepSeek Sparse Attention on an ordinary CPU.",
        discussion: """
            Runs DeepSeek-V3.2-style checkpoints in Hugging Face layout (config.json, safetensors, tokenizer.json), \
            tells what they take and cost, and checks this implementation against golden data.

            DSA_KERNELS in the environment forces a kernel path: \(Kernels.supported.joined(separator: ", ")).
            """,
        subcommands: [
            DemoCommand.self, ChatCommand.self, GenerateCommand.self, InspectCommand.self,
            ConformanceCommand.self,
            DumpCommand.self, DiffCommand.self, TrainCommand.self, EvaluateCommand.self, CompareCommand.self,
            CostCommand.self,
        ]
    )

    /// Runs the command the arguments name; an error becomes one line and exit status 1.
    static func main() async {
        do {
            try Kernels.validateEnvironment()
            try Diagnostics.validateEnvironment()
            Diagnostics.tellKernels(replaced: OpenBLAS.matchProcessor())
            defer { Diagnostics.tellMemory() }
            var command = try parseAsRoot()
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
        } catch {
            exit(withError: error)
        }
    }
}

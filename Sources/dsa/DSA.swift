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

            DSA_KERNELS in the environment forces a kernel path: \(Kernels.supported.joined(separator: ", ")). \
            DSA_LOG=info or debug tells kernels, threads, times and memory on standard error.

            Exit status: 0; 1 for an error, or a check that finds a miss; 64 for arguments that do not fit together.
            """,
        groupedSubcommands: [
            CommandGroup(
                name: "Running",
                subcommands: [DemoCommand.self, ChatCommand.self, GenerateCommand.self]
            ),
            CommandGroup(
                name: "Measuring",
                subcommands: [InspectCommand.self, CostCommand.self, CompareCommand.self]
            ),
            CommandGroup(
                name: "Checking",
                subcommands: [ConformanceCommand.self, DumpCommand.self, DiffCommand.self]
            ),
            CommandGroup(
                name: "Training",
                subcommands: [
                    TrainCommand.self, PosttrainCommand.self, TradeoffCommand.self, EvaluateCommand.self,
                ]
            ),
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

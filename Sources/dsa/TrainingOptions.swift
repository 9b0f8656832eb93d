import ArgumentParser
import Foundation

/// What every command that trains is told: recipe, folder, sizes, threads.
struct TrainingOptions: ParsableArguments {
    @Argument(help: ArgumentHelp("The recipe, a JSON file.", valueName: "recipe"))
    var recipe: String

    @Option(help: ArgumentHelp("Where it is kept.", valueName: "folder"))
    var out: String

    @Option(
        help: ArgumentHelp(
            "The model's sizes; `config.json` beside the recipe when not given.",
            valueName: "file"
        )
    )
    var config: String?

    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(help: "Seconds between two states written.")
    var saveEvery = 60.0

    /// The recipe's file.
    var file: URL { URL(fileURLWithPath: recipe) }
    /// Where it is kept.
    var folder: URL { URL(fileURLWithPath: out) }

    /// The file of the sizes, which may not be there.
    var configuration: URL {
        config.map { URL(fileURLWithPath: $0) }
            ?? file.deletingLastPathComponent().appendingPathComponent("config.json")
    }
}

import ArgumentParser
import Foundation
import SparseInference
import SparseTraining

/// `dsa tradeoff`: what a part of the reward costs and brings.
struct TradeoffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tradeoff",
        abstract: "Carry out policy optimization with several weights of a part of the reward, and compare.",
        discussion: """
            The recipe is that of `dsa train`; its last stage optimizes a policy. The stages before it are carried out once, the \
            last one for each weight, and every model is then asked the same new questions. A run that was interrupted goes on.

              dsa tradeoff recipe.json --from demo --out FOLDER --part length --weights 0,0.2,0.5
            """
    )

    @Argument(help: ArgumentHelp("The recipe.", valueName: "recipe.json"))
    var recipe: String

    @Option(help: ArgumentHelp("The part of the reward: \(parts).", valueName: "part"))
    var part: String

    @Option(
        help: ArgumentHelp("Its weights, such as 0,0.2,0.5.", valueName: "list"),
        transform: { text in
            try text.split(separator: ",").map { item in
                guard let weight = Float(item.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("\"\(item)\" is no number.")
                }
                return weight
            }
        }
    )
    var weights: [Float]

    @Option(help: ArgumentHelp("Where the runs are kept.", valueName: "folder"))
    var out: String

    @Option(
        help: ArgumentHelp(
            "The model's sizes; `config.json` beside the recipe when not given.",
            valueName: "file"
        )
    )
    var config: String?

    @Option(
        help: ArgumentHelp(
            "A checkpoint to begin with: a folder, org/name or demo. Random parameters when not given.",
            valueName: "model"
        )
    )
    var from: String?

    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(help: "Seconds between two states written.")
    var saveEvery = 60.0

    @Option(help: "Questions of each task at the end.")
    var questions = 400

    @Flag(help: "Print the results as JSON.")
    var json = false

    private static let parts = RewardWeights.Part.allCases.map(\.rawValue).joined(separator: ", ")

    func validate() throws {
        guard (1...1_000_000).contains(questions) else {
            throw ValidationError("--questions must be 1 to 1000000.")
        }
        guard RewardWeights.Part(rawValue: part) != nil else {
            throw ValidationError("--part must be one of \(Self.parts).")
        }
    }

    func run() throws {
        let file = URL(fileURLWithPath: recipe)
        guard let part = RewardWeights.Part(rawValue: part) else { return }
        let run = try TradeOffRun(
            recipe: file,
            part: part,
            weights: weights,
            configuration: config.map { URL(fileURLWithPath: $0) }
                ?? file.deletingLastPathComponent().appendingPathComponent("config.json"),
            base: from.map { try ModelLocationOption.folder(of: $0) },
            folder: URL(fileURLWithPath: out),
            threads: threads
        )
        try run.run(saveInterval: saveEvery) { name, progress in
            progress.show(in: name)
            return true
        }
        Terminal.clearProgress()
        let results = try run.results(questions: questions)
        try Data(TradeOffCurves(results, part: part).svg.utf8).write(
            to: URL(fileURLWithPath: out).appendingPathComponent("curves.svg"),
            options: .atomic
        )
        print(json ? try Terminal.json(results) : Self.table(results, part: part))
    }

    /// A line a weight, columns in line.
    private static func table(_ rows: [TradeOffRun.Row], part: RewardWeights.Part) -> String {
        let tasks = Set(rows.flatMap(\.tasks.keys)).sorted()
        func line(_ cells: [String]) -> String {
            cells[0].padding(toLength: 16, withPad: " ", startingAt: 0)
                + cells.dropFirst().map { String(repeating: " ", count: max(1, 22 - $0.count)) + $0 }.joined()
        }
        let head = line([part.rawValue] + tasks.flatMap { ["\($0): outcome", "tokens"] })
        return
            ([head]
            + rows.map { row in
                line(
                    [row.weight.map { "\($0)" } ?? "before"]
                        + tasks.flatMap { task in
                            [
                                String(format: "%.1f %%", 100 * (row.tasks[task]?.outcome ?? 0)),
                                String(format: "%.1f", row.tasks[task]?.answerTokens ?? 0),
                            ]
                        }
                )
            }).joined(separator: "\n")
    }
}

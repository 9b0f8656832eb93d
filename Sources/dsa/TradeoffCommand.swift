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

    @OptionGroup var options: TrainingOptions

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

    @Option(
        help: ArgumentHelp(
            "A checkpoint to begin with: a folder, org/name or demo. Random parameters when not given.",
            valueName: "model"
        )
    )
    var from: String?

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
        guard let part = RewardWeights.Part(rawValue: part) else { return }
        let run = try TradeOffRun(
            recipe: options.file,
            part: part,
            weights: weights,
            configuration: options.configuration,
            base: from.map { try ModelLocationOption.folder(of: $0) },
            folder: options.folder,
            threads: options.threads
        )
        try run.run(saveInterval: options.saveEvery) { name, progress in
            progress.show(in: name)
            return true
        }
        Terminal.clearProgress()
        let results = try run.results(questions: questions)
        try Data(TradeOffCurves(results, part: part).svg.utf8).write(
            to: options.folder.appendingPathComponent("curves.svg"),
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
        let head = line([part.rawValue] + tasks.flatMap { ["\($0): outcome", "tokens", "own language"] })
        return
            ([head]
            + rows.map { row in
                line(
                    [row.weight.map { "\($0)" } ?? "before"]
                        + tasks.flatMap { task in
                            [
                                String(format: "%.1f %%", 100 * (row.tasks[task]?.outcome ?? 0)),
                                String(format: "%.1f", row.tasks[task]?.answerTokens ?? 0),
                                row.tasks[task]?.languageConsistency.map {
                                    String(format: "%.1f %%", 100 * $0)
                                } ?? "-",
                            ]
                        }
                )
            }).joined(separator: "\n")
    }
}

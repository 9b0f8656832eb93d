import ArgumentParser
import Foundation
import SparseInference
import SparseTraining

/// `dsa posttrain`: specialists, distillation, mixed policy optimization.
struct PosttrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "posttrain",
        abstract: "Carry out post-training: specialists, their right answers distilled, one mixed stage.",
        discussion: """
            Every specialist begins with the base and learns its tasks, the last stage by its own answers. The distilled \
            model begins with the base again and learns from the specialists' right answers; the mixed one goes on from \
            there by its own answers to all tasks. A run that was interrupted goes on where its last state was written, and \
            ends with the same weights, bit for bit. At the end every model is asked the same new questions.

              dsa posttrain posttraining.json --from demo --out FOLDER
            """
    )

    @Argument(help: ArgumentHelp("The recipe of post-training.", valueName: "posttraining.json"))
    var recipe: String

    @Option(help: ArgumentHelp("The base: a checkpoint's folder, org/name or demo.", valueName: "model"))
    var from: String

    @Option(help: ArgumentHelp("Where the run is kept.", valueName: "folder"))
    var out: String

    @Option(help: "Threads to use; all processors when not given.")
    var threads: Int?

    @Option(help: "Seconds between two states written.")
    var saveEvery = 60.0

    @Option(help: "Stop after this many steps of this call.")
    var steps: Int?

    @Option(help: "Questions of each task at the end.")
    var questions = 200

    @Flag(help: "Print the results as JSON.")
    var json = false

    func validate() throws {
        guard (1...1_000_000).contains(questions) else {
            throw ValidationError("--questions must be 1 to 1000000.")
        }
    }

    func run() throws {
        let run = try PostTrainingRun(
            recipe: URL(fileURLWithPath: recipe),
            base: ModelLocationOption.folder(of: from),
            folder: URL(fileURLWithPath: out),
            threads: threads
        )
        var done = 0
        let isFinished = try run.run(saveInterval: saveEvery) { part, progress in
            done += 1
            progress.show(in: part)
            return done < steps ?? .max
        }
        Terminal.clearProgress()
        guard isFinished else {
            Terminal.note("stopped after \(done) steps; the same command goes on")
            return
        }
        let results = try run.results(questions: questions)
        print(json ? try Terminal.json(results) : Self.table(results))
    }

    /// The share of right answers of each model, a column a task.
    static func table(_ rows: [PostTrainingRun.Row]) -> String {
        let tasks = Set(rows.flatMap(\.accuracy.keys)).sorted()
        func line(_ name: String, _ cells: [String]) -> String {
            name.padding(toLength: 16, withPad: " ", startingAt: 0)
                + cells.map { String(repeating: " ", count: max(1, 12 - $0.count)) + $0 }.joined()
        }
        let head = line("right answers", tasks + ["mean", "tokens"])
        return
            ([head]
            + rows.map { row in
                let shares = tasks.map { row.accuracy[$0] ?? 0 }
                let mean = shares.reduce(0, +) / Double(max(shares.count, 1))
                return line(
                    row.model,
                    (shares + [mean]).map { String(format: "%.1f %%", 100 * $0) }
                        + [String(format: "%.1f", row.answerTokens)]
                )
            }).joined(separator: "\n")
    }
}

import ArgumentParser
import Foundation
import SparseInference
import SparseTraining

/// Measures a model on the tasks of the training recipe, dense against sparse.
struct EvaluateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evaluate",
        abstract:
            "Measure a model on the recipe's tasks: accuracy and perplexity by length, dense against sparse.",
        discussion: """
            Texts come from a stream that no training run draws from. An answer is right when greedy generation would have \
            written it; where many are right, the model writes one to the first question of each text, and it is judged.

              dsa evaluate --model demo --lengths 1K,8K --tasks needle --texts 3
            """
    )

    @OptionGroup var location: ModelLocationOption

    @Option(help: "Lengths of the texts in tokens, such as 256,1K,8K.", transform: TokenCount.parseList)
    var lengths = [256, 1024]

    @Option(
        help: "Tasks, comma-separated; all that the model has words for when not given.",
        transform: { $0.split(separator: ",").map(String.init) }
    )
    var tasks: [String] = []

    @Option(help: "Texts of each task and length.")
    var texts = 20

    @Option(help: "Questions of each text, at most.")
    var questions = 8

    @Option(help: "The share of questions in German, of tasks that are worded.")
    var german = 0.0

    @Option(help: "The seed of the texts.")
    var seed: UInt64 = 1

    @Flag(help: "Print the rows as JSON.")
    var json = false

    func run() throws {
        let folder = try location.folder
        let model = try Diagnostics.opening(folder) { try LanguageModel(contentsOf: folder) }
        let evaluation = try TaskEvaluation(
            model,
            seed: seed,
            questions: questions,
            languages: LanguageMix(german: german)
        )
        var rows: [TaskEvaluation.Row] = []
        if !json {
            print("task        length      k  questions   accuracy dense  sparse   perplexity dense  sparse")
        }
        for task in tasks.isEmpty ? evaluation.tasks : tasks {
            for length in lengths {
                Terminal.progress("\(task) at \(length) tokens")
                let row = try evaluation.run(task, length: length, texts: texts)
                Terminal.clearProgress()
                rows.append(row)
                if !json { print(line(row)) }
            }
        }
        if json {
            print(try Terminal.json(rows))
        }
    }

    private func line(_ row: TaskEvaluation.Row) -> String {
        func perplexity(_ value: Double) -> String { String(format: value < 1000 ? "%.3f" : "%.0e", value) }
        func percent(_ share: Double?) -> String { share.map { String(format: "%.1f %%", 100 * $0) } ?? "-" }
        func column(_ text: String, _ width: Int) -> String {
            String(repeating: " ", count: max(0, width - text.count)) + text
        }
        return row.task.padding(toLength: 10, withPad: " ", startingAt: 0) + column("\(row.length)", 8)
            + column("\(row.k)", 7) + column("\(row.questions)", 11) + column(percent(row.denseAccuracy), 17)
            + column(percent(row.sparseAccuracy), 8) + column(perplexity(row.densePerplexity), 19)
            + column(perplexity(row.sparsePerplexity), 8)
    }
}

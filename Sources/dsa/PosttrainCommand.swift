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
            ends with the same weights, bit for bit. At the end every model is asked the same new questions. With --seeds and \
            --control all of it is done with several seeds, and with dense attention beside sparse.

              dsa posttrain posttraining.json --from demo --out FOLDER
            """
    )

    @OptionGroup var options: TrainingOptions

    @Option(help: ArgumentHelp("The base: a checkpoint's folder, org/name or demo.", valueName: "model"))
    var from: String

    @Option(help: "Runs with seeds of their own, from the recipe's on.")
    var seeds = 1

    @Flag(help: "Do it all with dense attention, too.")
    var control = false

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
        guard (1...100).contains(seeds) else {
            throw ValidationError("--seeds must be 1 to 100.")
        }
    }

    func run() throws {
        let study = try PostTrainingStudy(
            recipe: options.file,
            base: ModelLocationOption.folder(of: from),
            configuration: configuration,
            folder: options.folder,
            seeds: seeds,
            hasControl: control,
            threads: options.threads
        )
        var done = 0
        let isFinished = try study.run(saveInterval: options.saveEvery) { run, part, progress in
            done += 1
            progress.show(in: study.runs.count > 1 ? "\(run.name), \(part)" : part)
            return done < steps ?? .max
        }
        Terminal.clearProgress()
        try draw(study)
        guard isFinished else {
            Terminal.note("stopped after \(done) steps; the same command goes on")
            return
        }
        let results = try study.results(questions: questions)
        print(json ? try Terminal.json(results) : PostTrainingTable(results).text)
    }

    /// The file of the sizes; nil for the base's, where none is given and none lies beside the recipe.
    private var configuration: URL? {
        let file = options.configuration
        return options.config != nil || FileManager.default.fileExists(atPath: file.path) ? file : nil
    }

    /// Writes a picture of each part, and one of them all.
    private func draw(_ study: PostTrainingStudy) throws {
        func write(_ svg: String, to folder: URL) throws {
            try Data(svg.utf8).write(to: folder.appendingPathComponent("curves.svg"), options: .atomic)
        }
        for run in study.runs {
            for (part, log) in try run.run.logs {
                try write(TrainingCurves(log).svg, to: run.run.folder.appendingPathComponent(part))
            }
        }
        try write(PostTrainingCurves(study).svg, to: options.folder)
    }
}

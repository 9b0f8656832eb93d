import ArgumentParser
import Foundation
import SparseInference
import SparseTraining

/// Carries out a training recipe.
struct TrainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "train",
        abstract: "Carry out a training recipe: dense pre-training, dense warm-up, sparse training.",
        discussion: """
            The recipe is a JSON file; `config.json` beside it gives the model's sizes. A run that was interrupted goes on \
            where its last state was written, and ends with the same weights, bit for bit.

              dsa train Sources/dsa/Model/recipe.json --out FOLDER       # the model of the demonstration, an hour
            """
    )

    @OptionGroup var options: TrainingOptions

    @Option(
        help: ArgumentHelp(
            "A checkpoint to begin with, a folder or org/name; it may lack the indexers. Random parameters when not given.",
            valueName: "model"
        )
    )
    var from: String?

    @Option(help: "Stop after this many steps of this call.")
    var steps: Int?

    func run() throws {
        let run = try TrainingRun(
            recipe: options.file,
            configuration: options.configuration,
            folder: options.folder,
            start: from.map { try ModelLocationOption.folder(of: $0) },
            threads: options.threads
        )
        var done = 0
        let isFinished = try run.run(saveInterval: options.saveEvery) { progress in
            done += 1
            progress.show()
            return done < steps ?? .max
        }
        Terminal.clearProgress()
        try Data(TrainingCurves(run.log).svg.utf8)
            .write(to: run.folder.appendingPathComponent("curves.svg"), options: .atomic)
        for handOver in try run.handOvers { print(line(handOver)) }
        print(
            isFinished ? "finished: \(options.out)" : "stopped after \(done) steps; the same command goes on"
        )
    }

    /// What a selection keeps of dense attention where a stage begins or ends.
    private func line(_ handOver: HandOver) -> String {
        let place = "\(handOver.stage), \(handOver.moment.rawValue)"
        guard let mass = handOver.mass?.mean else { return "\(place): the text is no longer than twice k" }
        return place
            + String(
                format:
                    ": the selection keeps %.1f %% of attention, the last tokens %.1f %%, the best %.1f %%",
                100 * mass.selected,
                100 * mass.window,
                100 * mass.best
            )
    }
}

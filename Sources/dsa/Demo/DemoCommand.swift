import ArgumentParser
import Foundation
import SparseAttention
import SparseInference
import SparseTraining

/// `dsa demo`: a long document, questions about it, dense and sparse answers side by side.
struct DemoCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Read a long document once, and answer questions about it dense and sparse.",
        discussion: """
            Without arguments: a model of this package reads a text with facts hidden in it, and finds them. The page \
            that is written shows where the indexer looked, and what a token costs by position.

              dsa demo
              dsa demo --length 8K --questions 4 --json
              dsa demo --document notes.txt --question "Where is the brass key?"

            The model that comes along knows the words of its tasks and little else: ask a model of your own about texts \
            of your own, with --model.
            """
    )

    @Option(
        help: ArgumentHelp(
            "The checkpoint's folder; the model that comes along by default.",
            valueName: "folder"
        )
    )
    var model: String?

    @Option(
        help: "Tokens of the document, such as 8K; at most what the model reads.",
        transform: TokenCount.parse
    )
    var length: Int?

    @Option(help: "How many questions to ask.")
    var questions = 8

    @Option(help: "The seed of the document.")
    var seed: UInt64 = 1

    @Option(help: ArgumentHelp("A text of one's own.", valueName: "file"))
    var document: String?

    @Option(help: "A question about it; may be given several times.")
    var question: [String] = []

    @Option(help: "Threads to use; all cores unless said otherwise.")
    var threads: Int?

    @Option(
        help: ArgumentHelp(
            "Where the page is written; dsa-demo.html, with --json nowhere, when not given.",
            valueName: "file"
        )
    )
    var page: String?

    @Flag(help: "Print the figures as JSON.")
    var json = false

    func validate() throws {
        guard (document == nil) == question.isEmpty else {
            throw ValidationError("--document and --question belong together.")
        }
        guard (1...64).contains(questions) else { throw ValidationError("--questions must be 1 to 64.") }
        guard length.map({ $0 >= 64 }) ?? true else {
            throw ValidationError("--length must be at least 64.")
        }
    }

    func run() throws {
        let folder = try ModelLocationOption.folder(of: model ?? DemoModel.name)
        let workers = try threads.map { try Workers(count: $0) } ?? .all
        let model = try Diagnostics.opening(folder) {
            try LanguageModel(contentsOf: folder, workers: workers)
        }
        let text = try makeDocument(for: model)
        if !json { introduce(model, text) }
        let report = try Demonstration(model, text).run { Terminal.progress($0) }
        Terminal.clearProgress()
        let summary = DemoSummary(report)
        print(json ? try Terminal.json(summary) : summary.table(report))
        guard let page = page ?? (json ? nil : "dsa-demo.html") else { return }
        let file = URL(fileURLWithPath: page)
        let html = DemoPage(report, text: try model.tokenizer?.decode(text.tokens) ?? "").html
        try Data(html.utf8).write(to: file, options: .atomic)
        if !json { print("\nwhere the indexer looked, and what it costs: \(file.path)") }
    }

    private func makeDocument(for model: LanguageModel) throws -> NeedleDocument {
        guard let document else {
            let length = length ?? DemoModel.length
            let limit = model.configuration.maxPositions
            guard length <= limit else {
                throw SparseInferenceError.request(.contextTooLong(tokens: length, limit: limit))
            }
            try TaskEvaluation.requireVocabulary(of: model)
            return TaskStream(seed: seed, split: .evaluation, questions: questions).document(
                0,
                length: length
            )
        }
        return try NeedleDocument(
            Terminal.text(of: document),
            questions: question,
            tokenizer: model.tokenizer
        )
    }

    private func introduce(_ model: LanguageModel, _ document: NeedleDocument) {
        let sizes = model.configuration
        let indexer = sizes.indexer.map {
            "\($0.heads) index heads × \($0.headDim), k = \($0.topK)"
        }
        print(
            "model: \(sizes.layers) layers of \(sizes.heads) heads, latent \(sizes.latentDim) + \(sizes.ropeDim), "
                + (indexer ?? "no indexer")
        )
        print("document: \(document.tokens.count) tokens, \(document.questions.count) questions\n")
    }
}

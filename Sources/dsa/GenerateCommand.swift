import ArgumentParser
import Foundation
import SparseAttention
import SparseInference

/// `dsa generate`: continues a prompt and streams the text.
struct GenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Continue a prompt and stream the text.",
        discussion: """
            Greedy unless a temperature is given. The text goes to standard output as it appears, everything else to \
            standard error. Ctrl-C stops.

              dsa generate --model FOLDER --prompt "The brass key is" --max-tokens 64 --stats
              dsa generate --model FOLDER --prompt-file book.txt --session book.session    # the second time it is read at once
              dsa generate --model FOLDER --prompts questions.jsonl --parallel 8    # a line of JSON for each, in their order
              dsa generate --model FOLDER --prompt-file book.txt --attention dense --temperature 0.7 --seed 1
            """
    )

    @OptionGroup var modelOptions: ModelOptions

    @Option(help: "The text to continue.")
    var prompt: String?

    @Option(help: ArgumentHelp("A file with the text to continue; - for standard input.", valueName: "file"))
    var promptFile: String?

    @Option(help: ArgumentHelp("The prompt as token ids separated by commas, for models without tokenizer."))
    var promptTokens: String?

    @Option(
        help: ArgumentHelp(
            "A file of prompts, a line of JSON each: {\"prompt\": \"…\"} or {\"tokens\": [1, 2]}, maxTokens if wanted; - for standard input.",
            valueName: "file"
        )
    )
    var prompts: String?

    @Option(help: "Prompts of the file that are continued at the same time.")
    var parallel = 8

    @Option(
        help: ArgumentHelp(
            "The most memory their caches may take together, such as 512MiB; who has no room waits.",
            valueName: "bytes"
        ),
        transform: ByteCount.parse
    )
    var cacheMemory: Int?

    @Option(help: "The most tokens to generate.")
    var maxTokens = 128

    @Option(help: "sparse: the tokens the indexer selects; dense: all of them.")
    var attention = AttentionMode.sparse

    @Option(help: "Draw tokens at random, logits divided by this number; 0 is greedy.")
    var temperature = 0.0

    @Option(help: "Draw among this many most likely tokens only.")
    var topK: Int?

    @Option(help: "Draw among the fewest tokens whose probabilities add up to this.")
    var topP = 1.0

    @Option(help: "Draw among tokens at least this many times as likely as the best.")
    var minP = 0.0

    @Option(help: "The seed of random draws; the same seed gives the same text.")
    var seed: UInt64?

    @Option(help: "Tokens of the prompt run at a time.")
    var chunk = Session.defaultChunk

    @Option(
        help:
            "How caches store numbers: float32, bfloat16 or float8; bfloat16 by default with that precision, else float32."
    )
    var cache: CacheFormat?

    @Option(
        help: ArgumentHelp(
            "Keep what was read: go on with the session in this file where prompts begin alike, and write it again.",
            valueName: "file"
        )
    )
    var session: String?

    @Option(
        help:
            "Guess so many tokens at a time, with the checkpoint's prediction layer or from what the text said before; greedy only, the text stays the same."
    )
    var draft = 0

    @Flag(help: "Go on after an end-of-sequence token.")
    var ignoreEnd = false

    @Flag(help: "Afterwards, tell speed, memory and cache size.")
    var stats = false

    func validate() throws {
        guard [prompt, promptFile, promptTokens, prompts].compactMap({ $0 }).count == 1 else {
            throw ValidationError("Give one of --prompt, --prompt-file, --prompt-tokens and --prompts.")
        }
        guard prompts == nil || session == nil else {
            throw ValidationError("--session holds one prompt; it does not go with --prompts.")
        }
        if temperature == 0, seed != nil || topK != nil || topP != 1 || minP != 0 {
            throw ValidationError("--seed, --top-k, --top-p and --min-p need a --temperature above 0.")
        }
    }

    func run() async throws {
        let model = try modelOptions.load()
        let options = GenerationOptions(
            maxTokens: maxTokens,
            sampling: temperature == 0
                ? .greedy
                : .random(
                    temperature: temperature,
                    topK: topK,
                    topP: topP,
                    minP: minP,
                    seed: seed ?? UInt64.random(in: 0...UInt64.max)
                ),
            attention: attention,
            chunk: chunk,
            cacheFormat: cache,
            stopsAtEnd: !ignoreEnd,
            draftTokens: draft
        )
        if let prompts { return try await answer(PromptList(prompts), model, options) }
        guard let prompt = try tokens() ?? model.tokenizer?.encode(text(), addingSpecialTokens: true) else {
            throw SparseInferenceError.request(.noTokenizer)
        }
        var statistics = GenerationStatistics?.none
        func show(_ piece: GeneratedPiece) {
            if statistics == nil { Terminal.clearProgress() }
            Terminal.write(model.tokenizer == nil ? "\(piece.token) " : piece.text)
            statistics = piece.statistics
        }
        if let session {
            try goOn(model, behind: prompt, with: URL(fileURLWithPath: session), options, show)
        } else {
            let progress = WorkProgress("reading", of: prompt.count)
            let generation = try model.generate(tokens: prompt, options: options) { progress.show($0) }
            for try await piece in generation { show(piece) }
        }
        Terminal.write("\n")
        if stats, let statistics { report(statistics) }
    }

    /// Generates behind what a stored session shares with the prompt, and stores it again with the prompt read.
    private func goOn(
        _ model: LanguageModel,
        behind prompt: [Int],
        with file: URL,
        _ options: GenerationOptions,
        _ show: (GeneratedPiece) -> Void
    ) throws {
        let isStored = FileManager.default.fileExists(atPath: file.path)
        let longest = isStored ? try Session.storedCount(file) : 0
        let limit = model.configuration.maxPositions
        let capacity = max(try options.capacity(behind: prompt, limit: limit), longest)
        let session =
            isStored
            ? try Session(
                contentsOf: file,
                model,
                capacity: capacity,
                cacheFormat: cache,
                attention: attention
            )
            : try Session(model, capacity: capacity, cacheFormat: cache)
        let rest = Array(try session.rewind(to: prompt, attention: attention))
        Terminal.note("session: \(session.count) of \(prompt.count) tokens read before")
        var continuation = try Continuation(session, prompt: rest, options: options)
        let progress = WorkProgress("reading", of: rest.count)
        var isFirst = true
        while let piece = try continuation.next(progress: progress.show) {
            if isFirst { try session.write(to: file) }
            isFirst = false
            show(piece)
        }
    }

    /// Continues the prompts of a file and writes what became of each, in their order.
    private func answer(_ list: PromptList, _ model: LanguageModel, _ options: GenerationOptions) async throws
    {
        let (prompts, options) = try list.requests(for: model, options)
        let limits = BatchLimits(sequences: parallel, cacheBytes: cacheMemory)
        let batch = try model.generate(prompts: prompts, options: options, limits: limits)
        var (answers, open) = (prompts.indices.map(PromptAnswer.init), Set(prompts.indices))
        var (told, tokens) = (0, 0)
        let (start, progress) = (ContinuousClock.now, WorkProgress("answering", of: prompts.count, "prompts"))
        for try await piece in batch {
            answers[piece.prompt].append(piece.piece)
            tokens += 1
            if piece.piece.isLast { open.remove(piece.prompt) }
            while told < answers.count, !open.contains(told) {
                Terminal.clearProgress()
                Terminal.write(try answers[told].line)
                told += 1
            }
            progress.show(answers.count - open.count)
        }
        Terminal.clearProgress()
        guard stats else { return }
        let seconds = (ContinuousClock.now - start) / .seconds(1)
        Terminal.note(
            "\(prompts.count) prompts: \(prompts.reduce(0) { $0 + $1.count }) tokens read, \(tokens) written in "
                + String(format: "%.2f s", seconds)
        )
    }

    private func tokens() throws -> [Int]? {
        try promptTokens?.split(separator: ",").map { part in
            guard let token = Int(part.trimmingCharacters(in: .whitespaces)) else {
                throw ValidationError("'\(part)' in --prompt-tokens is not a token id.")
            }
            return token
        }
    }

    private func text() throws -> String {
        try promptFile.map(Terminal.text(of:)) ?? prompt ?? ""
    }

    private func report(_ statistics: GenerationStatistics) {
        Terminal.note(Terminal.speed(statistics))
        if statistics.draftedTokens > 0 {
            Terminal.note("guessed: \(statistics.draftedTokens) tokens, right: \(statistics.acceptedTokens)")
        }
        Terminal.note(
            "peak memory: \(Terminal.bytes(ProcessMemory.peak)) · caches: \(Terminal.bytes(statistics.cacheBytes))"
                + " · attention: \(attention.rawValue) · kernels: \(Kernels.name)"
        )
    }
}

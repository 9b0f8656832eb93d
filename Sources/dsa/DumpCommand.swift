public import ArgumentParser
import Conformance
import Foundation
public import SparseAttention
import SparseInference

/// `dsa dump`: writes the stages of a forward pass.
struct DumpCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "dump",
        abstract: "Write every stage of a forward pass to a safetensors file.",
        discussion: """
            Another engine that writes the same names can be compared with 'dsa diff'. The article StageDumps tells \
            names, shapes and meaning.

              dsa dump --model MODEL --prompt "The brass key is" --out ours.safetensors
            """
    )

    @OptionGroup var modelOptions: ModelOptions

    @Option(help: "The text to run.")
    var prompt: String?

    @Option(help: ArgumentHelp("A file with the text to run.", valueName: "file"))
    var promptFile: String?

    @Option(help: "The prompt as token ids separated by commas.")
    var promptTokens: String?

    @Option(help: "The file to write.")
    var out: String

    @Option(help: "sparse: the tokens the indexer selects; dense: all of them.")
    var attention = AttentionMode.sparse

    @Option(help: "The form of latent attention: absorbed or expanded; the cheaper unless said otherwise.")
    var form: LatentAttention.Form?

    @Option(help: "Tokens run at a time.")
    var chunk = Session.defaultChunk

    @Option(help: "The stages to write, separated by commas; all unless said otherwise.")
    var stages: String?

    @Option(
        help:
            "Make a known mistake of other engines on purpose; 'dsa conformance . --mistake list' names them."
    )
    var mistake: String?

    func validate() throws {
        guard [prompt, promptFile, promptTokens].compactMap({ $0 }).count == 1 else {
            throw ValidationError("Give one of --prompt, --prompt-file and --prompt-tokens.")
        }
        _ = try wanted
    }

    func run() throws {
        let model = try modelOptions.load(mistake: mistake.map(Mistake.init(named:)))
        let dump = try StageDump(
            of: tokens(model),
            on: model,
            run: StageDump.Run(attention: attention, form: form, chunk: chunk),
            stages: wanted
        )
        try dump.write(to: URL(fileURLWithPath: out))
        Terminal.note("\(dump.tensors.count) tensors in \(out)")
    }

    private var wanted: Set<Stage>? {
        get throws {
            guard let stages else { return nil }
            return try Set(
                stages.split(separator: ",").map { part in
                    let name = part.trimmingCharacters(in: .whitespaces)
                    guard let stage = Stage(rawValue: name) else {
                        let known = Stage.allCases.map(\.rawValue).joined(separator: ", ")
                        throw ValidationError("'\(name)' is no stage; there are \(known).")
                    }
                    return stage
                }
            )
        }
    }

    private func tokens(_ model: LanguageModel) throws -> [Int] {
        if let promptTokens {
            return try promptTokens.split(separator: ",").map { part in
                guard let token = Int(part.trimmingCharacters(in: .whitespaces)) else {
                    throw ValidationError("'\(part)' in --prompt-tokens is not a token id.")
                }
                return token
            }
        }
        guard let tokenizer = model.tokenizer else {
            throw ValidationError("The model has no tokenizer; give --prompt-tokens.")
        }
        let text = try promptFile.map { try String(contentsOfFile: $0, encoding: .utf8) } ?? prompt ?? ""
        return tokenizer.encode(text, addingSpecialTokens: true)
    }
}

extension LatentAttention.Form: ExpressibleByArgument {}

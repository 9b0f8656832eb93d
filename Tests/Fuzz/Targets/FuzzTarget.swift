import Conformance
import SparseAttention
import SparseInference
import SparseTraining

/// One kind of input that arrives from outside, and what the package does with it.
///
/// An input may be accepted or refused with one of the package's own errors. Whatever else happens ends the
/// process, and libFuzzer keeps the input.
enum FuzzTarget: String, CaseIterable, Sendable {
    /// The JSON parser, in both dialects.
    case json
    /// A whole safetensors file, header and data.
    case safetensors
    /// A weight index.
    case index
    /// A `config.json`.
    case config
    /// A `tokenizer.json`, a `tokenizer_config.json` and a text.
    case tokenizer
    /// A text, and ids, for a tokenizer that is in order.
    case text
    /// Rows of a packed cache, quantized rows, and what is done to caches.
    case rows
    /// Parameters and golden data of conformance cases.
    case conformance
    /// The lists of cases beside golden data.
    case manifest
    /// Two stage dumps to compare.
    case stages
    /// A training recipe.
    case recipe
    /// Messages to write as a prompt, and an answer to read.
    case chat
    /// A program of the stack machine, and numbers for it.
    case program
    /// What an answerer with tools writes, turn by turn.
    case tools

    /// Takes one input.
    func run(_ input: Input) {
        do {
            switch self {
            case .json: try parse(input)
            case .safetensors: try openSafetensors(input)
            case .index: try readIndex(input)
            case .config: try readConfiguration(input)
            case .tokenizer: try makeTokenizer(input)
            case .text: try encodeText(input)
            case .rows: try useCaches(input)
            case .conformance: try runConformance(input)
            case .manifest: try runManifest(input)
            case .stages: try compareStages(input)
            case .recipe: try readRecipe(input)
            case .chat: try converse(input)
            case .program: try runProgram(input)
            case .tools: try runTools(input)
            }
        } catch {
            check(error)
        }
    }
}

/// Makes sure that an error is one a caller can tell apart, and that it can be put in words.
func check(_ error: any Error) {
    precondition(
        error is SparseInferenceError || error is SparseAttentionError || error is JSONFault
            || error is ConfigurationFault || error is CheckpointFault || error is GoldenFault
            || error is RecipeFault || error is ChatFault || error is StackProgramFault,
        "an error that is not the package's own: \(error)"
    )
    precondition(!"\(error)".isEmpty)
}
